"""How fast servers are started; times are in seconds and made up."""

from app_wrapper.actions import Action, Launch
from app_wrapper.backoff import Backoff
from app_wrapper.pacing import TOLERATED, Pacing
from app_wrapper.pool import Pool
from standby.ids import Uid
from tests.support.pools import bring_up, launched, make_pool, only

BACKOFF = Backoff(1.0, 8.0)


def _pacing(per_second: float = 4.0) -> Pacing:
    return Pacing(per_second, BACKOFF)


def _fail(pool: Pool, actions: list[Action], now: float) -> list[Action]:
    """Every server that was launched ends at once."""
    news: list[Action] = []
    for boot_id in launched(actions):
        news += pool.exited(boot_id, "exit status 3", now)
    return news


def test_a_burst_of_one_second_is_allowed_and_then_the_rate() -> None:
    pacing = _pacing(4.0)
    assert pacing.room(0, 10.0) == 4
    for _ in range(4):
        pacing.started(10.0)
    assert pacing.room(0, 10.0) == 0
    assert pacing.opens(0, 10.0) == 10.25
    assert pacing.room(0, 10.25) == 1
    assert pacing.room(0, 10.75) == 3
    assert pacing.room(0, 100.0) == 4


def test_less_than_one_start_per_second_still_starts_one() -> None:
    pacing = _pacing(0.5)
    assert pacing.room(0, 0.0) == 1
    pacing.started(0.0)
    assert pacing.room(0, 1.9) == 0
    assert pacing.opens(0, 0.0) == 2.0
    assert pacing.room(0, 2.0) == 1


def test_failures_in_a_row_leave_one_try_at_a_time_after_growing_pauses() -> None:
    pacing = _pacing()
    for _ in range(TOLERATED):
        pacing.failed("exit status 3", 0.0, lasting=False)
    assert pacing.trouble() is None
    resumes = []
    for _ in range(5):
        pacing.failed("exit status 3", 0.0, lasting=False)
        assert pacing.room(0, 0.0) == 0
        resumes.append(pacing.opens(0, 0.0))
    assert resumes == [1.0, 2.0, 4.0, 8.0, 8.0]
    assert pacing.room(0, 8.0) == 1
    assert pacing.room(1, 8.0) == 0
    assert pacing.opens(1, 8.0) is None
    assert "8 failures in a row (tried again every 8 s): exit status 3" in str(pacing.trouble())


def test_the_first_server_that_comes_up_ends_the_trouble() -> None:
    pacing = _pacing()
    for _ in range(TOLERATED + 1):
        pacing.failed("exit status 3", 0.0, lasting=False)
    pacing.came_up()
    assert pacing.trouble() is None
    assert pacing.room(1, 0.0) == 4


def test_a_failure_that_would_repeat_is_told_apart_at_once() -> None:
    pacing = _pacing()
    pacing.failed("no such program", 0.0, lasting=True)
    assert pacing.opens(0, 0.0) == 8.0
    assert (
        pacing.trouble()
        == "no server can start until this is repaired (tried again every 8 s): no such program"
    )


def test_a_pool_starts_no_more_per_second_than_it_may_and_goes_on_by_itself() -> None:
    pool = make_pool(6, concurrent_starts=6, starts_per_second=2.0)
    assert len(launched(pool.start(0.0))) == 2
    starts = []
    for _ in range(4):
        due = pool.next_deadline()
        assert due is not None
        starts += [due] * len(launched(pool.tick(due)))
    assert starts == [0.5, 1.0, 1.5, 2.0]


def test_a_pool_whose_servers_all_fail_tries_one_at_a_time_and_recovers_by_itself() -> None:
    pool = make_pool(8, concurrent_starts=4)
    news = _fail(pool, pool.start(0.0), 0.0)
    launches = 0
    now = 0.0
    while now < 40.0:
        started = len(launched(news))
        assert started <= (4 if now == 0.0 else 1)
        launches += started
        news = _fail(pool, news, now)
        if not news:
            due = pool.next_deadline()
            assert due is not None
            assert due > now
            now = due
            news = pool.tick(now)
    assert launches < 16, "eight slots that fail do not become eight times as many tries"
    assert "no server starts" in str(pool.degraded())

    ready = 0
    coming = launched(news)
    while coming or pool.degraded() is not None:
        if not coming:
            due = pool.next_deadline()
            assert due is not None
            now = due
            coming = launched(pool.tick(now))
        for boot in coming.copy():
            coming += launched(bring_up(pool, boot, now))
            coming.remove(boot)
            ready += 1
        assert now < 60.0
    assert ready == 8


def test_one_users_own_server_that_fails_does_not_slow_others_down() -> None:
    pool = make_pool(0)
    pool.start(0.0)
    actions = pool.dedicate(Uid("anna"), 0.0)
    for _ in range(TOLERATED + 2):
        now = pool.next_deadline() or 0.0
        actions = [*_fail(pool, actions, now), *pool.tick(now)]
    assert len(only(Launch, pool.dedicate(Uid("bert"), 0.0))) == 1
