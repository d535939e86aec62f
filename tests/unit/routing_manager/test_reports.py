"""Which reports change something, and which do not."""

import pytest
from msgspec.structs import replace

from routing_manager.errors import BadReportError
from routing_manager.outcomes import PromiseEnd
from standby.ids import EPOCH_LEAP, LARGEST, Epoch, Uid
from standby.messages import Report, ReportOutcome
from standby.states import State
from tests.unit.routing_manager.fakes import ClockedCore, FakeWrapper


@pytest.fixture
def wrapper() -> FakeWrapper:
    made = FakeWrapper("w1", epoch=5)
    made.start(0)
    return made


@pytest.fixture
def core() -> ClockedCore:
    return ClockedCore()


def _seen(core: ClockedCore) -> object:
    """All that a report can change."""
    directory = core.core.directory
    return [
        (each.epoch, each.sequence, each.heard, each.capacity, each.draining, told.told, told.state)
        for each in directory.wrappers.values()
        for told in each.instances.values()
    ]


def _outcome(core: ClockedCore, wrapper: FakeWrapper, report: Report) -> ReportOutcome:
    return core.report(wrapper, report).outcome


def test_a_partial_report_of_an_unknown_wrapper_asks_for_a_full_one(
    core: ClockedCore, wrapper: FakeWrapper
) -> None:
    reply = core.report(wrapper, wrapper.partial())
    assert (reply.outcome, reply.epoch) == (ReportOutcome.RESYNC, 5)
    assert core.core.directory.known(wrapper.wrapper_id) is None


def test_a_repeated_report_changes_nothing(core: ClockedCore, wrapper: FakeWrapper) -> None:
    report = wrapper.full()
    assert _outcome(core, wrapper, report) is ReportOutcome.ACCEPTED
    before = _seen(core)
    core.now += 1
    assert _outcome(core, wrapper, report) is ReportOutcome.STALE
    assert _seen(core) == before


def test_a_late_report_of_an_earlier_epoch_changes_nothing_and_is_told_the_later_one(
    core: ClockedCore, wrapper: FakeWrapper
) -> None:
    core.tell(wrapper)
    before = _seen(core)
    late = replace(wrapper.full(), epoch=Epoch(4), sequence=99, instances=[])

    reply = core.report(wrapper, late)

    assert (reply.outcome, reply.epoch) == (ReportOutcome.STALE, 5)
    assert _seen(core) == before


def test_a_gap_between_partial_reports_changes_nothing_and_asks_for_a_full_one(
    core: ClockedCore, wrapper: FakeWrapper
) -> None:
    core.tell(wrapper)
    before = _seen(core)
    wrapper.login(0, "alice", 1)
    wrapper.partial()
    wrapper.start(1)
    assert _outcome(core, wrapper, wrapper.partial()) is ReportOutcome.RESYNC
    assert _seen(core) == before
    assert _outcome(core, wrapper, wrapper.full()) is ReportOutcome.ACCEPTED
    assert core.booted("alice") == wrapper.slots[0].boot_id


def test_a_partial_report_of_a_new_epoch_asks_for_a_full_one(
    core: ClockedCore, wrapper: FakeWrapper
) -> None:
    core.tell(wrapper)
    before = _seen(core)
    wrapper.restart()
    wrapper.start(0)
    assert _outcome(core, wrapper, wrapper.partial()) is ReportOutcome.RESYNC
    assert _seen(core) == before


def test_a_full_report_replaces_all_that_was_known_of_its_wrapper_and_of_no_other(
    core: ClockedCore, wrapper: FakeWrapper
) -> None:
    other = FakeWrapper("w2")
    other.start(0)
    core.tell(other)
    wrapper.start(1)
    core.tell(wrapper)
    wrapper.restart()
    wrapper.start(7, State.STARTING)
    core.report(wrapper, wrapper.full())

    known = core.core.directory.wrappers
    assert set(known[wrapper.wrapper_id].instances) == {7}
    assert set(known[other.wrapper_id].instances) == {0}


def test_a_lost_wrapper_that_comes_back_must_tell_everything(
    core: ClockedCore, wrapper: FakeWrapper
) -> None:
    core.tell(wrapper)
    core.after(core.settings.wrapper_lost)
    wrapper.start(1)
    assert _outcome(core, wrapper, wrapper.partial()) is ReportOutcome.RESYNC
    assert _outcome(core, wrapper, wrapper.full()) is ReportOutcome.ACCEPTED
    assert core.core.directory.counts[State.READY] == 2


def test_a_stopped_process_stays_visible_until_its_slot_has_another(
    core: ClockedCore, wrapper: FakeWrapper
) -> None:
    wrapper.login(0, "alice", 1)
    core.tell(wrapper)
    wrapper.stop(0)
    core.tell(wrapper)
    assert core.core.directory.counts[State.STOPPED] == 1
    wrapper.start(0, State.STARTING)
    core.tell(wrapper)
    assert core.core.directory.counts[State.STOPPED] == 0
    assert core.core.directory.counts[State.STARTING] == 1


def test_a_report_that_shows_two_lives_of_a_slot_tells_of_the_later_one(
    core: ClockedCore, wrapper: FakeWrapper
) -> None:
    wrapper.login(0, "alice", 1)
    ended = wrapper.stop(0)
    fresh = wrapper.start(0)
    for _ in range(2):
        report = wrapper.full()
        core.report(wrapper, replace(report, instances=[ended, *report.instances]))
        assert core.booted("bob") == fresh.boot_id
    assert core.core.tally.promises[PromiseEnd.GONE] == 0
    assert sum(core.core.directory.counts.values()) == 1


def test_a_process_that_went_back_or_changed_its_user_is_not_believed(
    core: ClockedCore, wrapper: FakeWrapper
) -> None:
    active = wrapper.login(0, "alice", 4)
    core.tell(wrapper)
    for lie in (
        replace(active, state=State.READY, uid=None, generation=None),
        replace(active, uid=Uid("bob")),
        replace(active, generation=3),
        replace(active, generation=None),
    ):
        wrapper.slots[0] = lie
        core.report(wrapper, wrapper.full())
        assert core.booted("alice") == active.boot_id
        assert core.route("bob") is None
    assert core.core.tally.disbelieved == 4


@pytest.mark.parametrize(
    ("state", "uid"), [(State.RESERVED, None), (State.ACTIVE, None), (State.READY, Uid("alice"))]
)
def test_an_entry_that_says_what_a_wrapper_cannot_mean_costs_that_entry(
    core: ClockedCore, wrapper: FakeWrapper, state: State, uid: Uid | None
) -> None:
    wrapper.start(1)
    wrapper.slots[2] = replace(wrapper.start(2), state=state, uid=uid)
    assert _outcome(core, wrapper, wrapper.full()) is ReportOutcome.ACCEPTED
    (known,) = core.core.directory.wrappers.values()
    assert known.instances.keys() == {0, 1}
    assert core.core.tally.disbelieved == 1


def test_an_epoch_that_a_live_wrapper_cannot_have_reached_is_refused_and_changes_nothing(
    core: ClockedCore, wrapper: FakeWrapper
) -> None:
    core.tell(wrapper)
    before = _seen(core)
    thief = FakeWrapper(wrapper.wrapper_id, epoch=wrapper.epoch + EPOCH_LEAP + 1)
    with pytest.raises(BadReportError, match="not believed"):
        core.report(wrapper, thief.full())
    assert _seen(core) == before
    assert _outcome(core, wrapper, wrapper.full()) is ReportOutcome.ACCEPTED


def test_an_epoch_within_reach_is_believed(core: ClockedCore, wrapper: FakeWrapper) -> None:
    core.tell(wrapper)
    later = FakeWrapper(wrapper.wrapper_id, epoch=wrapper.epoch + EPOCH_LEAP)
    assert _outcome(core, wrapper, later.full()) is ReportOutcome.ACCEPTED


def test_a_lost_wrapper_may_come_back_in_any_epoch(core: ClockedCore, wrapper: FakeWrapper) -> None:
    core.tell(wrapper)
    core.after(core.settings.wrapper_lost + 1)
    later = FakeWrapper(wrapper.wrapper_id, epoch=wrapper.epoch + 2 * EPOCH_LEAP)
    assert _outcome(core, wrapper, later.full()) is ReportOutcome.ACCEPTED


def test_an_epoch_at_the_end_of_the_range_shuts_the_wrapper_out_until_it_is_forgotten(
    core: ClockedCore, wrapper: FakeWrapper
) -> None:
    thief = FakeWrapper(wrapper.wrapper_id, epoch=LARGEST)
    core.report(wrapper, thief.full())
    assert _outcome(core, wrapper, wrapper.full()) is ReportOutcome.STALE
    core.after(core.settings.wrapper_lost + 1)
    assert _outcome(core, wrapper, wrapper.full()) is ReportOutcome.STALE
    core.after(core.settings.wrapper_forgotten + 1)
    assert _outcome(core, wrapper, wrapper.full()) is ReportOutcome.ACCEPTED


def test_repeated_full_reports_are_no_news_to_readers_of_the_state(
    core: ClockedCore, wrapper: FakeWrapper
) -> None:
    core.tell(wrapper)
    version = core.core.version
    core.report(wrapper, wrapper.full())
    assert core.core.version == version
    wrapper.capacity += 1
    core.report(wrapper, wrapper.full())
    assert core.core.version > version
