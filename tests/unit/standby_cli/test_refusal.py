"""When a starting platform need not be waited for, because no server will ever be admitted."""

from pathlib import Path

import pytest

from app_wrapper.backoff import Backoff
from app_wrapper.lives import NOT_ATTESTED
from app_wrapper.pacing import TOLERATED, Pacing
from standby.messages import WrapperState
from standby.states import State, StopReason
from standby_cli import kept_policy, refusal
from standby_cli.layout import Layout
from standby_cli.refusal import Refusals
from tests.unit.standby_cli.states import instance, program, wrapper

REASON = "mrenclave: expected aaaaaaaaaaaaaaaa…, found bbbbbbbbbbbbbbbb…"


def _degraded(*, lasting: bool) -> str:
    pacing = Pacing(1.0, Backoff(1.0, 60.0))
    for _ in range(TOLERATED + 1):
        pacing.failed(f"{NOT_ATTESTED}{REASON}", 0.0, lasting=lasting)
    return pacing.trouble() or ""


REFUSED = _degraded(lasting=True)
PASSING = _degraded(lasting=False)
GONE = instance(0, State.STOPPED, attestation=None, hardening={}, reason=StopReason.UNATTESTED)
STARTING = instance(1, State.STARTING, attestation=None, hardening={})


@pytest.mark.parametrize(
    "states",
    [
        [wrapper(GONE, degraded=REFUSED)],
        [wrapper(GONE, STARTING, degraded=REFUSED)],
        [wrapper(degraded=REFUSED)],
        [wrapper(GONE, degraded=REFUSED), wrapper(GONE, name="w2", degraded=REFUSED)],
        [wrapper(GONE, degraded=REFUSED), wrapper(name="w2")],  # has no user to serve
    ],
)
def test_the_reason_is_known_at_once_when_every_server_is_refused(
    states: list[WrapperState],
) -> None:
    assert Refusals().hopeless(states, 100.0) == REASON


@pytest.mark.parametrize(
    "states",
    [
        [],
        [wrapper()],
        [wrapper(STARTING)],
        [wrapper(GONE, instance(1), degraded=REFUSED)],
        [wrapper(GONE, instance(1, State.ACTIVE), degraded=REFUSED)],
        [wrapper(GONE, degraded=REFUSED), wrapper(instance(0, wrapper="w2"), name="w2")],
        [wrapper(GONE, degraded=REFUSED), wrapper(STARTING, name="w2")],
        [wrapper(degraded="2 of 2 servers do not start (1 times in a row): no such file")],
    ],
)
def test_nothing_is_given_up_while_a_server_may_be_admitted(states: list[WrapperState]) -> None:
    refusals = Refusals()
    for now in range(0, 1000, 100):
        assert refusals.hopeless(states, float(now)) is None


@pytest.mark.parametrize(
    "degraded",
    [PASSING, f"1 of 2 servers do not start (1 times in a row): {NOT_ATTESTED}{REASON}"],
)
def test_a_refusal_that_may_pass_is_waited_out_for_a_while(degraded: str) -> None:
    refused, refusals = [wrapper(GONE, degraded=degraded)], Refusals()
    assert refusals.hopeless(refused, 100.0) is None
    assert refusals.hopeless(refused, 99.0 + refusal.PATIENCE) is None
    assert refusals.hopeless([wrapper(GONE, instance(1), degraded=degraded)], 105.0) is None
    assert refusals.hopeless(refused, 101.0 + refusal.PATIENCE) is None
    assert refusals.hopeless(refused, 101.0 + 2 * refusal.PATIENCE) == REASON


def test_the_error_says_why_and_what_to_look_at(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.make()
    error = refusal.error(REASON, layout)
    assert error.exit_status == 1
    first, hint = str(error).splitlines()
    assert first == f"no server was admitted: {REASON}"
    assert f"standby policy show {layout.policy}" in hint
    assert "--explain" not in hint
    layout.measured.write_text("{}")
    assert f"standby measure --explain {layout.measured}" in str(refusal.error(REASON, layout))


@pytest.mark.parametrize("root", ["simulated", "intel"])
def test_of_an_installed_policy_it_is_said_that_it_stays(root: str, tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.make()
    own = program().policy(3).replace('"simulated"', f'"{root}"')
    layout.measured.write_text("{}")
    layout.policy.write_text(kept_policy.own(own))
    assert "stays installed" not in str(refusal.error(REASON, layout))
    layout.policy.write_text(own)
    _, hint, stays = str(refusal.error(REASON, layout)).splitlines()
    assert str(layout.measured) not in hint
    assert "`standby measure --json` now and where the policy was made" in hint
    delete = f", or delete {layout.policy} and `standby up` makes one"
    assert stays.endswith("with --policy" + (delete if root == "simulated" else ""))


def _lasting(why: str) -> str:
    pacing = Pacing(1.0, Backoff(1.0, 60.0))
    pacing.failed(why, 0.0, lasting=True)
    return pacing.trouble() or ""


BROKEN = _lasting("exit status 78 (its configuration is wrong)")


@pytest.mark.parametrize(
    "states",
    [
        [wrapper(degraded=BROKEN)],
        [wrapper(STARTING, degraded=BROKEN)],
        [wrapper(STARTING), wrapper(name="w2", degraded=BROKEN)],
    ],
)
def test_servers_that_would_each_end_the_same_way_are_not_waited_for(
    states: list[WrapperState],
) -> None:
    why = refusal.broken(states)
    assert why is not None
    assert "no server can start until this is repaired" in why
    assert "exit status 78" in why


@pytest.mark.parametrize(
    "states",
    [
        [],
        [wrapper(STARTING)],
        [wrapper(instance(0), degraded=BROKEN)],
        [wrapper(degraded=BROKEN), wrapper(instance(0, wrapper="w2"), name="w2")],
        [wrapper(degraded=REFUSED)],  # that has a text of its own
        [wrapper(degraded="no server starts, 4 failures in a row: exit status 1")],
    ],
)
def test_other_failures_may_pass_and_are_waited_out(states: list[WrapperState]) -> None:
    assert refusal.broken(states) is None
