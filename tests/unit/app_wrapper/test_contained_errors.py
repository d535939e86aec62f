"""An error of the pool's own costs the process that it is about: the others are ended, served and replaced as ever."""

from collections.abc import Callable
from typing import Any

from app_wrapper.actions import Action, AskToStop, Failed, Release
from app_wrapper.events import Login
from app_wrapper.pool import Pool
from app_wrapper.process import Seat
from standby.ids import BootId, Generation, Uid
from standby.lines import Volume
from tests.support.pools import launched, log_in, make_pool, only, running

VOLUME = Volume("/volumes/anna/data", Generation(1))


def _breaks(pool: Pool, name: str, boot_id: BootId | None = None) -> None:
    """Make that method of the pool's fail, for one process or for all."""
    owner: Any = pool if hasattr(pool, name) else pool._lives
    works: Callable[..., Any] = getattr(owner, name)

    def fail(*arguments: Any, **named: Any) -> Any:
        processes = [each.process for each in arguments if isinstance(each, Seat)]
        if boot_id is None or any(each and each.boot_id == boot_id for each in processes):
            raise ValueError("broken")
        return works(*arguments, **named)

    setattr(owner, name, fail)


def _failed(actions: list[Action]) -> list[BootId | None]:
    return [each.boot_id for each in only(Failed, actions)]


def test_a_deadline_that_cannot_be_acted_on_leaves_those_due_with_it() -> None:
    pool, (first, second) = running(2, session=10.0)
    for boot_id, uid in ((first, "anna"), (second, "bert")):
        log_in(pool, boot_id, uid)
    _breaks(pool, "overdue", first)

    actions = pool.tick(100.0)

    assert _failed(actions) == [first]
    assert [each.boot_id for each in only(AskToStop, actions)] == [second]
    assert (pool.next_deadline() or 1e9) > 100.0


def test_a_claim_that_cannot_be_taken_in_is_given_back_when_the_process_is_gone() -> None:
    pool, (first, second) = running(2)
    pool.said(first, Login(Uid("anna")), 1.0)
    _breaks(pool, "answer", first)

    assert _failed(pool.answered(first, VOLUME, 1.0)) == [first]
    (release,) = only(Release, pool.exited(first, "killed", 2.0))
    assert (release.uid, release.generation) == ("anna", 1)
    assert launched(pool.released(first, 2.0)), "the slot has a fresh process"
    assert only(Release, log_in(pool, second, "bert", 3.0)) == []


def test_an_end_that_cannot_be_taken_in_frees_the_slot_all_the_same() -> None:
    pool, (first, second) = running(2)
    _breaks(pool, "gone", first)

    actions = pool.exited(first, "killed", 1.0)

    assert _failed(actions) == [first]
    assert launched(actions)
    known = {each.boot_id for each in pool.roster.processes()}
    assert first not in known
    assert second in known


def test_a_pool_that_cannot_be_sized_still_hands_out_what_is_to_be_done() -> None:
    pool, (first, second) = running(2)
    _breaks(pool, "_fit")

    actions = pool.said(first, Login(Uid("anna")), 1.0)

    assert _failed(actions) == [None]
    assert len(actions) > 1, "the claim and the report are among them"
    assert second in {each.boot_id for each in pool.roster.processes()}


def test_nothing_is_contained_when_nothing_is_broken() -> None:
    pool = make_pool(2)
    assert not _failed(pool.start(0.0))
    assert not _failed(pool.tick(1000.0))
