"""What the pool decides, event by event; times are in seconds and made up."""

from functools import partial

import pytest

from app_wrapper.actions import Answer, AskToStop, Claim, Kill, Launch, Release, Report
from app_wrapper.errors import AtCapacityError, DrainingError, NotRunningError
from app_wrapper.events import DataClosed, DataOpened, Login, Logout, Nonsense, Said, Waiting
from app_wrapper.pool import Pool
from app_wrapper.process import Dedicated, Ordered
from standby.ids import BootId, Generation, Slot, Uid
from standby.lines import Denied, Volume
from standby.states import State, StopReason
from tests.support.pools import LIMITS, bring_up, launched, log_in, make_pool, only, running

ANNA = Uid("anna")
VOLUME = Volume("/volumes/anna/data", Generation(1))
DENIED = Denied("claimed_elsewhere", "held by somebody")


def _state(pool: Pool, boot_id: BootId) -> State | None:
    process = pool.process(boot_id)
    return process.state if process else None


def _reported(pool_actions: list[object]) -> list[tuple[State, StopReason | None]]:
    return [
        (each.process.state, each.process.reason)
        for each in pool_actions
        if isinstance(each, Report)
    ]


# Starting


def test_a_started_pool_fills_its_slots_a_few_at_a_time() -> None:
    pool = make_pool(6, concurrent_starts=2)
    first = only(Launch, pool.start(0.0))
    assert [each.slot for each in first] == [0, 1]
    next_one = only(Launch, bring_up(pool, first[0].boot_id))
    assert [each.slot for each in next_one] == [2]


def test_starting_twice_starts_once() -> None:
    pool = make_pool(2)
    assert len(launched(pool.start(0.0))) == 2
    assert pool.start(0.0) == []


def test_a_process_is_reported_once_it_exists_and_not_twice() -> None:
    pool = make_pool(1)
    (boot,) = launched(pool.start(0.0))
    assert pool.roster.processes() == []
    assert _reported(list(pool.launched(boot, 4000, 0.0))) == [(State.STARTING, None)]
    assert pool.launched(boot, 4001, 0.0) == []
    assert pool.roster.processes()[0].port == 4000


def test_a_server_that_is_not_ready_in_time_is_killed_and_replaced_after_a_pause() -> None:
    pool = make_pool(1)
    (boot,) = launched(pool.start(0.0))
    assert pool.next_deadline() == 30.0
    actions = pool.tick(30.0)
    assert _reported(list(actions)) == [(State.STOPPED, StopReason.START_TIMEOUT)]
    assert [each.boot_id for each in only(Kill, actions)] == [boot]
    assert launched(pool.exited(boot, "killed by SIGKILL", 30.1)) == []
    assert pool.next_deadline() == pytest.approx(31.1)
    assert "not ready within 30 s" in (pool.degraded() or "")
    assert len(launched(pool.tick(31.1))) == 1


def test_pauses_grow_with_failures_and_end_with_a_login() -> None:
    pool = make_pool(1)
    (boot,) = launched(pool.start(0.0))
    now, pauses = 0.0, []
    for _ in range(6):
        pool.exited(boot, "exit status 3", now)
        due = pool.next_deadline()
        assert due is not None
        pauses.append(due - now)
        now = due
        (boot,) = launched(pool.tick(now))
    assert pauses == [1, 2, 4, 8, 8, 8]
    assert "6 failures in a row (tried again every 8 s): exit status 3" in (pool.degraded() or "")
    bring_up(pool, boot, now)
    assert pool.degraded() is None
    log_in(pool, boot, now=now)
    pool.exited(boot, "exit status 0", now)
    assert len(launched(pool.released(boot, now))) == 1


def test_a_server_that_was_ready_for_long_failed_for_the_first_time() -> None:
    pool, (boot,) = running(1)
    pool.exited(boot, "exit status 1", 1000.0)
    assert pool.next_deadline() == 1001.0


def test_a_server_that_could_not_be_launched_is_tried_again_after_a_pause() -> None:
    pool = make_pool(1)
    (boot,) = launched(pool.start(0.0))
    assert launched(pool.exited(boot, "no such file", 0.0)) == []
    assert "no such file" in (pool.degraded() or "")
    assert len(launched(pool.tick(1.0))) == 1


# Sessions


def test_login_is_reported_at_once_and_the_volume_claimed() -> None:
    pool, (boot,) = running(1)
    actions = pool.said(boot, Login(ANNA), 1.0)
    assert _reported(list(actions)) == [(State.ACTIVE, None)]
    assert only(Claim, actions) == [Claim(boot, ANNA)]
    assert [type(each) for each in actions] == [Report, Claim]


def test_the_answer_is_passed_on_and_the_generation_reported() -> None:
    pool, (boot,) = running(1)
    pool.said(boot, Login(ANNA), 1.0)
    actions = pool.answered(boot, VOLUME, 1.1)
    assert only(Answer, actions) == [Answer(boot, VOLUME)]
    assert [each.process.generation for each in only(Report, actions)] == [1]
    assert pool.answered(boot, VOLUME, 1.2) == []


def test_logout_stops_the_server_and_only_its_end_frees_the_volume_and_the_slot() -> None:
    pool, (boot,) = running(1)
    log_in(pool, boot)
    actions = pool.said(boot, Logout(StopReason.EXPIRED), 5.0)
    assert _reported(list(actions)) == [(State.STOPPED, StopReason.EXPIRED)]
    assert only(AskToStop, actions) == [AskToStop(boot)]
    assert not only(Release, actions)
    actions = pool.exited(boot, "exit status 0", 5.1)
    assert actions == [Release(boot, ANNA, Generation(1), closed=True)]
    (fresh,) = launched(pool.released(boot, 5.2))
    assert fresh != boot
    assert pool.process(boot) is None


def test_a_server_that_lingers_after_logout_is_killed_and_keeps_its_reason() -> None:
    pool, (boot,) = running(1)
    log_in(pool, boot)
    pool.said(boot, Logout(), 5.0)
    assert only(Kill, pool.tick(8.9)) == []
    assert [each.boot_id for each in only(Kill, pool.tick(9.0))] == [boot]
    process = pool.process(boot)
    assert process is not None
    assert process.reason is StopReason.LOGOUT


def test_a_crash_in_a_session_frees_the_volume_and_costs_no_pause() -> None:
    pool, (boot,) = running(1)
    log_in(pool, boot)
    actions = pool.exited(boot, "killed by SIGSEGV", 5.0)
    assert _reported(list(actions)) == [(State.STOPPED, StopReason.CRASHED)]
    assert only(Release, actions) == [Release(boot, ANNA, Generation(1))]
    assert len(launched(pool.released(boot, 5.0))) == 1
    assert pool.degraded() is None


def test_a_server_that_ends_while_its_volume_is_claimed_gives_it_back_when_it_comes() -> None:
    pool, (boot,) = running(1)
    pool.said(boot, Login(ANNA), 1.0)
    assert not only(Release, pool.exited(boot, "killed by SIGKILL", 1.1))
    actions = pool.answered(boot, VOLUME, 1.2)
    assert only(Release, actions) == [Release(boot, ANNA, Generation(1))]
    assert not only(Answer, actions)
    assert len(launched(pool.released(boot, 1.3))) == 1


def test_a_denied_server_is_told_and_has_a_little_time_to_end_by_itself() -> None:
    pool, (boot,) = running(1)
    pool.said(boot, Login(ANNA), 1.0)
    assert only(Answer, pool.answered(boot, DENIED, 1.1)) == [Answer(boot, DENIED)]
    actions = pool.tick(5.1)
    assert _reported(list(actions)) == [(State.STOPPED, StopReason.REFUSED)]
    assert only(AskToStop, actions) == [AskToStop(boot)]
    actions = pool.exited(boot, "exit status 0", 5.2)
    assert not only(Release, actions)
    assert len(launched(actions)) == 1


def test_the_same_login_again_is_answered_again_without_another_claim() -> None:
    pool, (boot,) = running(1)
    pool.said(boot, Login(ANNA), 1.0)
    assert pool.said(boot, Login(ANNA), 1.0) == []
    pool.answered(boot, VOLUME, 1.1)
    assert pool.said(boot, Login(ANNA), 1.2) == [Answer(boot, VOLUME)]


@pytest.mark.parametrize(
    "lie", [Login(Uid("bert")), Waiting(), Nonsense("LOGIN: not a name")], ids=repr
)
def test_an_active_server_that_breaks_the_rules_is_killed(lie: Said) -> None:
    pool, (boot,) = running(1)
    log_in(pool, boot)
    actions = pool.said(boot, lie, 2.0)
    assert _reported(list(actions)) == [(State.STOPPED, StopReason.KILLED)]
    assert [each.boot_id for each in only(Kill, actions)] == [boot]
    assert not only(Claim, actions)
    assert not only(Answer, actions)


def test_login_before_ready_breaks_the_rules_of_a_standby_server() -> None:
    pool = make_pool(1)
    (boot,) = launched(pool.start(0.0))
    pool.launched(boot, 4000, 0.0)
    assert len(only(Kill, pool.said(boot, Login(ANNA), 0.1))) == 1


def test_what_a_stopped_server_says_does_not_count() -> None:
    pool, (boot,) = running(1)
    log_in(pool, boot)
    pool.said(boot, Logout(), 2.0)
    for said in (Waiting(), Login(Uid("bert")), Logout(), Nonsense("x")):
        assert pool.said(boot, said, 2.1) == []


def test_events_of_unknown_or_ended_processes_change_nothing() -> None:
    pool, (boot,) = running(1)
    pool.exited(boot, "exit status 0", 1.0)
    for known in (boot, BootId("f" * 16)):
        assert pool.said(known, Waiting(), 1.0) == []
        assert pool.launched(known, 1, 1.0) == []
        assert pool.answered(known, VOLUME, 1.0) == []
        assert pool.released(known, 1.0) == []
        assert pool.exited(known, "again", 1.0) == []


def _ended(pool: Pool, boot: BootId, now: float) -> StopReason | None:
    """Asked to stop at this moment and no earlier, and killed when it does not; the reason."""
    assert pool.next_deadline() == now
    assert pool.tick(now - 0.1) == []
    assert only(AskToStop, pool.tick(now)) == [AskToStop(boot)]
    stop = now + LIMITS["stop"]
    assert [each.boot_id for each in only(Kill, pool.tick(stop))] == [boot]
    process = pool.process(boot)
    assert process is not None
    return process.reason


def test_a_server_that_keeps_its_user_longer_than_a_session_is_ended() -> None:
    """Whatever it says meanwhile."""
    pool, (boot,) = running(1, session=100.0)
    log_in(pool, boot, now=1.0)
    for said in (Login(ANNA), DataOpened(), DataClosed(), DataOpened()):
        pool.said(boot, said, 50.0)
    assert _ended(pool, boot, 101.0) is StopReason.SESSION_LIMIT


def test_a_session_whose_claim_is_never_answered_is_ended_too() -> None:
    pool, (boot,) = running(1, session=100.0, open=30.0)
    pool.said(boot, Login(ANNA), 1.0)
    assert pool.next_deadline() == 101.0


def test_a_server_that_does_not_open_what_it_was_given_is_ended() -> None:
    pool, (boot,) = running(1, session=100.0, open=30.0)
    log_in(pool, boot, now=1.0)
    assert _ended(pool, boot, 31.0) is StopReason.NOT_OPENED


def test_a_server_that_has_opened_what_it_was_given_has_its_whole_session() -> None:
    pool, (boot,) = running(1, session=100.0, open=30.0)
    log_in(pool, boot, now=1.0)
    pool.said(boot, DataOpened(), 30.0)
    assert _ended(pool, boot, 101.0) is StopReason.SESSION_LIMIT


def test_a_server_that_fills_its_directories_is_killed_without_being_asked() -> None:
    pool, (boot,) = running(1)
    log_in(pool, boot, now=1.0)
    actions = pool.overfull(boot, "its scratch directory has more than 5 files", 2.0)
    assert _reported(list(actions)) == [(State.STOPPED, StopReason.USAGE_LIMIT)]
    assert [each.boot_id for each in only(Kill, actions)] == [boot]
    assert pool.overfull(boot, "again", 2.1) == []
    assert only(Release, pool.exited(boot, "killed by SIGKILL", 2.2)) != []
    assert pool.degraded() is None


def test_of_servers_that_do_not_tell_no_opening_is_expected() -> None:
    pool, (boot,) = running(1, session=100.0)
    log_in(pool, boot, now=1.0)
    assert pool.next_deadline() == 101.0


def test_a_server_without_a_user_opens_nothing_and_has_no_session() -> None:
    pool, (boot,) = running(1, session=100.0, open=30.0)
    pool.said(boot, DataOpened(), 1.0)
    assert pool.next_deadline() is None


def _closed(pool: Pool, boot: BootId, *said: Said) -> bool:
    """Whether its user's volume is worth a copy after a server said this and exited."""
    for each in said:
        pool.said(boot, each, 5.0)
    (release,) = only(Release, pool.exited(boot, "exit status 0", 6.0))
    return release.closed


@pytest.mark.parametrize(
    ("said", "closed"),
    [
        ((DataOpened(), DataClosed(), Logout()), True),
        ((DataOpened(), DataClosed()), True),
        ((DataOpened(), Logout()), False),
        ((Logout(),), False),
        ((DataOpened(), DataClosed(), DataOpened(), Logout()), False),
        ((DataOpened(),), False),
    ],
)
def test_a_server_that_tells_has_closed_the_data_if_that_is_its_last_word(
    said: tuple[Said, ...], closed: bool
) -> None:
    pool, (boot,) = running(1, open=30.0)
    log_in(pool, boot, now=1.0)
    assert _closed(pool, boot, *said) is closed


@pytest.mark.parametrize(
    ("reason", "closed"),
    [
        (StopReason.LOGOUT, True),
        (StopReason.IDLE, True),
        (StopReason.STORAGE_FAILED, False),
        (StopReason.DATA_DAMAGED, False),
    ],
)
def test_of_a_server_that_does_not_tell_its_end_says_whether_it_closed_the_data(
    reason: StopReason, closed: bool
) -> None:
    pool, (boot,) = running(1)
    log_in(pool, boot, now=1.0)
    assert _closed(pool, boot, Logout(reason)) is closed


# Size


def test_growing_starts_servers_and_shrinking_stops_unused_ones_only() -> None:
    pool, boots = running(2)
    (third,) = launched(pool.resize(3, 1.0))
    bring_up(pool, third)
    log_in(pool, boots[1])
    actions = pool.resize(1, 2.0)
    assert {each.boot_id for each in only(AskToStop, actions)} == {boots[0], third}
    assert _state(pool, boots[1]) is State.ACTIVE
    for boot in (boots[0], third):
        assert launched(pool.exited(boot, "exit status 0", 2.1)) == []
    pool.said(boots[1], Logout(), 3.0)
    pool.exited(boots[1], "exit status 0", 3.0)
    assert len(launched(pool.released(boots[1], 3.0))) == 1


def test_a_recycling_slot_leaves_before_a_ready_one() -> None:
    pool, boots = running(2)
    log_in(pool, boots[0])
    pool.said(boots[0], Logout(), 1.0)
    assert not only(AskToStop, pool.resize(1, 1.1))
    pool.exited(boots[0], "exit status 0", 1.2)
    assert launched(pool.released(boots[0], 1.3)) == []
    assert _state(pool, boots[1]) is State.READY


def test_growing_again_while_servers_leave_refills_their_slots() -> None:
    pool, boots = running(2)
    pool.resize(0, 1.0)
    assert launched(pool.resize(2, 1.1)) == []  # their slots are still taken
    for boot in boots:
        assert len(launched(pool.exited(boot, "exit status 0", 1.2))) == 1
    assert pool.degraded() is None


def test_more_than_the_capacity_is_refused_and_changes_nothing() -> None:
    pool, _ = running(2, capacity=3)
    with pytest.raises(AtCapacityError):
        pool.resize(4, 1.0)
    assert pool.size == 2


def test_a_stopped_pool_ends_everything_and_can_start_again() -> None:
    pool, boots = running(2)
    log_in(pool, boots[0])
    actions = pool.stop(1.0)
    assert _reported(list(actions)) == [(State.STOPPED, StopReason.DRAINED)] * 2
    for boot in boots:
        assert launched(pool.exited(boot, "exit status 0", 1.1)) == []
    pool.released(boots[0], 1.2)
    assert pool.empty
    assert len(launched(pool.start(2.0))) == 2


def test_a_stop_during_a_pause_does_not_start_two_servers_in_a_slot_later() -> None:
    pool = make_pool(0)
    pool.start(0.0)
    (boot,) = launched(pool.dedicate(ANNA, 0.0))
    pool.exited(boot, "exit status 1", 0.0)
    pool.stop(0.1)
    assert len(launched(pool.start(0.2))) == 1
    assert launched(pool.tick(5.0)) == []


# Draining


def test_draining_ends_unused_servers_and_starts_nothing() -> None:
    pool, boots = running(2)
    log_in(pool, boots[0])
    actions = pool.drain(1.0)
    assert only(AskToStop, actions) == [AskToStop(boots[1])]
    assert launched(pool.exited(boots[1], "exit status 0", 1.1)) == []
    assert _state(pool, boots[0]) is State.ACTIVE
    for order in (partial(pool.resize, 5, 1.0), partial(pool.start, 1.0)):
        with pytest.raises(DrainingError):
            order()
    pool.said(boots[0], Logout(), 2.0)
    pool.exited(boots[0], "exit status 0", 2.0)
    assert not pool.empty
    assert launched(pool.released(boots[0], 2.0)) == []
    assert pool.empty


def test_sessions_are_ended_as_logout_does_when_the_drain_limit_is_reached() -> None:
    pool, (boot,) = running(1)
    log_in(pool, boot)
    pool.drain(1.0)
    pool.drain(9.0)  # again: the limit does not move
    assert pool.next_deadline() == 16.0
    actions = pool.tick(16.0)
    assert _reported(list(actions)) == [(State.STOPPED, StopReason.DRAINED)]
    assert only(AskToStop, actions) == [AskToStop(boot)]
    assert [each.boot_id for each in only(Kill, pool.tick(20.0))] == [boot]


def test_a_session_whose_user_has_gone_is_ended_while_the_wrapper_drains_and_not_before() -> None:
    pool, boots = running(2)
    log_in(pool, boots[0])
    assert pool.abandon(boots[0], 1.0) == []
    pool.drain(2.0)
    actions = pool.abandon(boots[0], 3.0)
    assert _reported(list(actions)) == [(State.STOPPED, StopReason.DRAINED)]
    assert only(AskToStop, actions) == [AskToStop(boots[0])]
    assert pool.abandon(boots[0], 4.0) == []


# Approach on-demand


def test_an_order_starts_one_server_for_its_ticket() -> None:
    pool = make_pool(0)
    pool.start(0.0)
    (launch,) = only(Launch, pool.order("t1", 0.0))
    assert launch.purpose == Ordered("t1")
    assert pool.order("t1", 0.1) == []
    assert pool.slot_of_order("t1") == launch.slot == Slot(0)


def test_an_ordered_server_is_not_replaced_and_its_ticket_is_remembered() -> None:
    pool = make_pool(0)
    pool.start(0.0)
    (boot,) = launched(pool.order("t1", 0.0))
    bring_up(pool, boot)
    log_in(pool, boot)
    pool.said(boot, Logout(), 1.0)
    pool.exited(boot, "exit status 0", 1.0)
    assert launched(pool.released(boot, 1.0)) == []
    assert pool.roster.processes() == []
    assert pool.order("t1", 2.0) == []


def test_an_ordered_server_nobody_logs_in_to_ends() -> None:
    pool = make_pool(0)
    pool.start(0.0)
    (boot,) = launched(pool.order("t1", 0.0))
    bring_up(pool, boot, 1.0)
    actions = pool.tick(21.0)
    assert _reported(list(actions)) == [(State.STOPPED, StopReason.IDLE)]
    assert pool.exited(boot, "exit status 0", 21.0) == []
    assert pool.degraded() is None


def test_an_ordered_server_with_a_user_is_left_alone_for_a_session() -> None:
    pool = make_pool(0)
    pool.start(0.0)
    (boot,) = launched(pool.order("t1", 0.0))
    bring_up(pool, boot, 1.0)
    log_in(pool, boot, now=2.0)
    assert pool.next_deadline() == 2.0 + LIMITS["session"]


def test_orders_over_the_capacity_are_refused_and_may_be_tried_again() -> None:
    pool = make_pool(0, capacity=1)
    pool.start(0.0)
    (boot,) = launched(pool.order("t1", 0.0))
    with pytest.raises(AtCapacityError):
        pool.order("t2", 0.1)
    pool.exited(boot, "exit status 1", 0.2)
    assert len(launched(pool.order("t2", 0.3))) == 1


def test_an_order_is_taken_while_a_session_that_is_over_still_occupies_its_process() -> None:
    """The Routing Manager sees it STOPPED and counts its place as free, so an order must not be refused."""
    pool = make_pool(0, capacity=1)
    pool.start(0.0)
    (boot,) = launched(pool.order("t1", 0.0))
    bring_up(pool, boot)
    log_in(pool, boot)
    pool.said(boot, Logout(), 2.0)
    assert launched(pool.order("t2", 2.1)) == []  # accepted; there is never one process too many
    pool.exited(boot, "exit status 0", 2.2)
    assert len(launched(pool.released(boot, 2.3))) == 1


def test_a_failed_ordered_start_can_be_seen_until_one_succeeds() -> None:
    pool = make_pool(0)
    pool.start(0.0)
    (boot,) = launched(pool.order("t1", 0.0))
    pool.exited(boot, "exit status 3", 0.1)
    assert "exit status 3" in (pool.degraded() or "")
    (boot,) = launched(pool.order("t2", 0.2))
    bring_up(pool, boot)
    assert pool.degraded() is None


def test_an_order_before_the_start_is_refused() -> None:
    with pytest.raises(NotRunningError):
        make_pool(0).order("t1", 0.0)


# Approach trivial


def test_a_dedicated_server_logs_in_by_itself_and_is_started_again_when_it_ends() -> None:
    pool = make_pool(0)
    pool.start(0.0)
    (launch,) = only(Launch, pool.dedicate(ANNA, 0.0))
    assert launch.purpose == Dedicated(ANNA)
    assert pool.dedicate(ANNA, 0.1) == []
    boot = launch.boot_id
    pool.launched(boot, 4000, 0.1)
    assert only(Claim, pool.said(boot, Login(ANNA), 0.2)) == [Claim(boot, ANNA)]
    pool.answered(boot, VOLUME, 0.3)
    assert pool.next_deadline() is None
    pool.exited(boot, "killed by SIGSEGV", 500.0)
    pool.released(boot, 500.0)
    (again,) = only(Launch, pool.tick(501.0))
    assert (again.slot, again.purpose) == (launch.slot, launch.purpose)


def test_a_dedicated_server_that_keeps_ending_is_started_less_and_less_often() -> None:
    pool = make_pool(0)
    pool.start(0.0)
    (boot,) = launched(pool.dedicate(ANNA, 0.0))
    now, pauses = 0.0, []
    for _ in range(3):
        pool.said(boot, Login(ANNA), now)
        pool.answered(boot, DENIED, now)
        pool.exited(boot, "exit status 0", now)
        due = pool.next_deadline()
        assert due is not None
        pauses.append(due - now)
        now = due
        (boot,) = launched(pool.tick(now))
    assert pauses == [1, 2, 4]


@pytest.mark.parametrize("said", [Waiting(), Login(Uid("bert"))], ids=repr)
def test_a_dedicated_server_may_not_serve_anybody_else(said: Said) -> None:
    pool = make_pool(0)
    pool.start(0.0)
    (boot,) = launched(pool.dedicate(ANNA, 0.0))
    assert len(only(Kill, pool.said(boot, said, 0.1))) == 1


def test_many_dedicated_servers_start_a_few_at_a_time() -> None:
    pool = make_pool(0, capacity=10, concurrent_starts=2)
    pool.start(0.0)
    boots = [boot for n in range(5) for boot in launched(pool.dedicate(Uid(f"u{n}"), 0.0))]
    assert len(boots) == 2
    assert len(launched(pool.said(boots[0], Login(Uid("u0")), 0.1))) == 1


def test_draining_ends_dedicated_servers_at_once() -> None:
    pool = make_pool(0)
    pool.start(0.0)
    (boot,) = launched(pool.dedicate(ANNA, 0.0))
    log_in(pool, boot)
    assert only(AskToStop, pool.drain(1.0)) == [AskToStop(boot)]
    pool.exited(boot, "exit status 0", 1.1)
    pool.released(boot, 1.2)
    assert pool.empty


def test_a_users_own_server_has_no_longest_session() -> None:
    """It keeps no other user waiting, and its wrapper does not see its sessions."""
    pool = make_pool(0, session=100.0, open=30.0)
    pool.start(0.0)
    (boot,) = launched(pool.dedicate(ANNA, 0.0))
    pool.launched(boot, 4000, 0.0)
    log_in(pool, boot, now=1.0)
    assert pool.next_deadline() is None
    pool.said(boot, DataOpened(), 2.0)
    assert pool.next_deadline() is None
