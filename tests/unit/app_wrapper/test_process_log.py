"""What happened to whom, at a level that an alert can use."""

import logging
from dataclasses import replace

import pytest

from app_wrapper import process_log
from app_wrapper.actions import Change, Report
from app_wrapper.launchers import Exit
from app_wrapper.metrics import LoginOutcome, login_outcome
from app_wrapper.process import Holding, Process, Standby
from standby.ids import BootId, Slot, Uid
from standby.lines import Denied
from standby.states import USUAL_ENDS, State, StopReason


def _process(
    reason: StopReason | None,
    uid: str | None = None,
    *,
    state: State = State.STOPPED,
    holding: Holding = Holding.HELD,
) -> Process:
    return Process(
        slot=Slot(1),
        boot_id=BootId("0" * 16),
        purpose=Standby(),
        launched_at=0.0,
        since=0.0,
        state=state,
        uid=None if uid is None else Uid(uid),
        reason=reason,
        holding=holding if uid else Holding.NOTHING,
    )


def _logged(caplog: pytest.LogCaptureFixture, report: Report) -> tuple[str, str, dict[str, object]]:
    with caplog.at_level(logging.DEBUG):
        process_log.changed(report)
    record = caplog.records[-1]
    return record.levelname, record.message, record.fields  # type: ignore[attr-defined]  # as `EventLog` makes it


@pytest.mark.parametrize("reason", sorted(set(StopReason) - {StopReason.LOST}))
@pytest.mark.parametrize("uid", [None, "anna"])
def test_an_end_is_as_loud_as_what_it_cost(
    caplog: pytest.LogCaptureFixture, reason: StopReason, uid: str | None
) -> None:
    report = Report(_process(reason, uid), State.ACTIVE if uid else State.READY, why="a reason")
    level, event, fields = _logged(caplog, report)
    harmless = uid is None or reason is StopReason.UNATTESTED
    harmless &= reason is not StopReason.UNPROVED
    expected = "INFO" if reason in USUAL_ENDS else "WARNING" if harmless else "ERROR"
    assert (level, event) == (expected, "server_changed")
    assert (fields["uid"], fields["reason"], fields["why"]) == (uid, reason, "a reason")


def test_who_lied_about_its_user_is_logged_with_the_user_who_came_to_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    process = replace(_process(StopReason.UNPROVED, None), bound=Uid("mallory"))
    _, _, fields = _logged(caplog, Report(process, State.READY, why="LOGIN anna"))
    assert (fields["uid"], fields["bound"]) == (None, "mallory")


@pytest.mark.parametrize(
    ("change", "event"),
    [
        (Change.LAUNCHED, "server_launched"),
        (Change.ATTESTED, "server_attested"),
        (Change.VOLUME, "volume_given"),
    ],
)
def test_what_is_no_new_state_is_no_change_of_state(
    caplog: pytest.LogCaptureFixture, change: Change, event: str
) -> None:
    process = _process(None, "anna", state=State.ACTIVE)
    level, said, fields = _logged(caplog, Report(process, State.ACTIVE, change))
    assert (level, said) == ("INFO", event)
    assert "before" not in fields


def test_the_last_line_of_a_process_names_its_user(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        process_log.gone(BootId("0" * 16), _process(StopReason.CRASHED, "anna"), Exit("killed"))
    fields = caplog.records[-1].fields  # type: ignore[attr-defined]  # as above
    assert (fields["uid"], fields["reason"], fields["how"]) == ("anna", "crashed", "killed")


def test_a_user_whose_data_cannot_be_had_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    process_log.denied(BootId("0" * 16), Uid("anna"), Denied("volume_unavailable", "too slow"))
    (record,) = caplog.records
    assert (record.levelname, record.message) == ("WARNING", "volume_denied")


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        (StopReason.LOGOUT, LoginOutcome.SERVED),
        (StopReason.EXPIRED, LoginOutcome.SERVED),
        (StopReason.IDLE, LoginOutcome.SERVED),
        (StopReason.DRAINED, LoginOutcome.SERVED),
        (StopReason.SESSION_LIMIT, LoginOutcome.SERVED),
        (StopReason.UNATTESTED, LoginOutcome.SERVED),
        (StopReason.NOT_OPENED, LoginOutcome.NOT_OPENED),
        (StopReason.REFUSED, LoginOutcome.REFUSED),
        (StopReason.DATA_DAMAGED, LoginOutcome.DATA_DAMAGED),
        (StopReason.OLDER_DATA, LoginOutcome.OLDER_DATA),
        (StopReason.STORAGE_FAILED, LoginOutcome.STORAGE_FAILED),
        (StopReason.CRASHED, LoginOutcome.LOST),
        (StopReason.UNRESPONSIVE, LoginOutcome.LOST),
        (StopReason.KILLED, LoginOutcome.LOST),
    ],
)
def test_a_login_is_counted_once_by_what_came_of_it(
    reason: StopReason, outcome: LoginOutcome
) -> None:
    assert login_outcome(_process(reason, "anna")) is outcome
    assert login_outcome(_process(reason, "anna", holding=Holding.CLAIMING)) is outcome
    assert login_outcome(_process(reason)) is None
    # its denial was counted when it was told
    assert login_outcome(_process(reason, "anna", holding=Holding.NOTHING)) is None
