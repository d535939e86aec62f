"""What the pool makes of a server that says LOGIN: only with the proof of the user whose requests it reads."""

import pytest

from app_wrapper.actions import Action, AskToStop, Claim, Kill, Launch, Report
from app_wrapper.events import Attested, Bound, Login, Logout, NotProved, Proved, Said, Waiting
from app_wrapper.pool import Pool
from standby.ids import BootId, Uid
from standby.states import State, StopReason
from tests.support.pools import LIMITS, launched, make_pool, only

ANNA, BERT = Uid("anna"), Uid("bert")
HERE = (Bound(ANNA), Proved(ANNA))


def _ready(*, on_demand: bool = False) -> tuple[Pool, BootId]:
    pool = make_pool(0 if on_demand else 1, channel=True)
    actions = pool.start(0.0)
    if on_demand:
        actions += pool.order("ticket", 0.0)
    (boot,) = launched(actions)
    pool.launched(boot, 4000, 0.0)
    pool.said(boot, Attested("off", {}), 0.0)
    pool.said(boot, Waiting(), 0.0)
    return pool, boot


def _all(pool: Pool, boot: BootId, *said: Said, now: float = 0.0) -> list[Action]:
    return [action for each in said for action in pool.said(boot, each, now)]


def _reasons(actions: list[Action]) -> list[StopReason | None]:
    return [each.process.reason for each in only(Report, actions)]


def test_a_login_that_was_proved_claims_the_volume() -> None:
    pool, boot = _ready()
    actions = _all(pool, boot, *HERE, Login(ANNA))
    assert only(Claim, actions) == [Claim(boot, ANNA)]
    process = pool.process(boot)
    assert process is not None
    assert (process.state, process.uid) == (State.ACTIVE, ANNA)


@pytest.mark.parametrize(
    "said",
    [
        (Login(BERT),),
        (Bound(BERT), Login(BERT)),
        (Bound(ANNA), NotProved(ANNA, "login_proof_refused", "no"), Login(ANNA)),
        (*HERE, Login(BERT)),
        (Proved(BERT), Login(BERT)),
        (Bound(ANNA), Bound(BERT), Proved(BERT), Login(BERT)),
        (Bound(ANNA), Proved(BERT), Login(BERT)),
    ],
)
def test_a_login_that_was_not_proved_claims_nothing_and_ends_the_server(
    said: tuple[Said, ...],
) -> None:
    pool, boot = _ready()
    actions = _all(pool, boot, *said)
    assert only(Claim, actions) == []
    assert [each.boot_id for each in only(Kill, actions)] == [boot]
    process = pool.process(boot)
    assert process is not None
    assert process.state is State.STOPPED
    assert process.uid is None


def test_the_reason_is_one_of_its_own() -> None:
    pool, boot = _ready()
    assert _reasons(_all(pool, boot, Login(BERT))) == [StopReason.UNPROVED]
    pool, boot = _ready()
    assert _reasons(_all(pool, boot, *HERE, Login(BERT))) == [StopReason.UNPROVED]


def test_a_user_may_be_faster_than_the_servers_line() -> None:
    """What a server says over its channel and what it prints come by different ways."""
    pool = make_pool(1, channel=True)
    (boot,) = launched(pool.start(0.0))
    pool.launched(boot, 4000, 0.0)
    _all(pool, boot, Attested("off", {}), *HERE, Waiting())
    assert pool.next_deadline() == LIMITS["login"]
    assert only(Claim, pool.said(boot, Login(ANNA), 0.0)) == [Claim(boot, ANNA)]


@pytest.mark.parametrize("on_demand", [False, True])
def test_a_server_that_began_to_read_a_users_requests_does_not_wait_for_others(
    on_demand: bool,
) -> None:
    pool, boot = _ready(on_demand=on_demand)
    pool.said(boot, Bound(ANNA), 5.0)
    pool.said(boot, Bound(ANNA), 9.0)
    assert pool.next_deadline() == 5.0 + LIMITS["login"]
    actions = pool.tick(5.0 + LIMITS["login"])
    assert only(AskToStop, actions) == [AskToStop(boot)]
    assert _reasons(actions) == [StopReason.NO_LOGIN]


def test_a_login_ends_the_wait_for_it() -> None:
    pool, boot = _ready()
    _all(pool, boot, *HERE, Login(ANNA))
    assert pool.next_deadline() == LIMITS["session"]


@pytest.mark.parametrize("ends", ["says so", "crashes", "is killed for a lie"])
def test_users_who_come_and_do_not_log_in_slow_no_start_down(ends: str) -> None:
    """Else one of them could empty the pool by coming again and again."""
    pool, boot = _ready()
    pool.said(boot, Bound(ANNA), 0.0)
    if ends == "says so":
        pool.said(boot, Logout(StopReason.NO_LOGIN), 0.0)
    elif ends == "is killed for a lie":
        pool.said(boot, Login(BERT), 0.0)
    assert len(only(Launch, pool.exited(boot, "exit status 0", 0.0))) == 1
    assert pool.degraded() is None


def test_a_server_that_ends_without_a_user_still_counts_as_failed() -> None:
    pool, boot = _ready()
    pool.said(boot, Logout(StopReason.NO_LOGIN), 0.0)
    assert only(Launch, pool.exited(boot, "exit status 0", 0.0)) == []
    assert "said LOGOUT no_login" in (pool.degraded() or "")


def test_a_users_own_server_was_given_its_user_by_the_wrapper() -> None:
    pool = make_pool(0, channel=True)
    pool.start(0.0)
    (boot,) = launched(pool.dedicate(ANNA, 0.0))
    pool.launched(boot, 4000, 0.0)
    actions = _all(pool, boot, Attested("off", {}), Login(ANNA))
    assert only(Claim, actions) == [Claim(boot, ANNA)]
    assert only(Kill, pool.said(boot, Bound(ANNA), 0.0)) == []
    assert len(only(Kill, pool.said(boot, Bound(BERT), 0.0))) == 1


def test_servers_without_a_channel_are_believed() -> None:
    pool = make_pool(1)
    (boot,) = launched(pool.start(0.0))
    pool.launched(boot, 4000, 0.0)
    actions = _all(pool, boot, Waiting(), Login(ANNA))
    assert only(Claim, actions) == [Claim(boot, ANNA)]


def test_nothing_of_it_counts_after_login() -> None:
    pool, boot = _ready()
    _all(pool, boot, *HERE, Login(ANNA))
    assert _all(pool, boot, Bound(ANNA)) == []
    assert len(only(Kill, _all(pool, boot, Proved(ANNA)))) == 1
