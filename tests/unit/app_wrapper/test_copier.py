"""The copier before providers that fail, and at its end."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app_wrapper.volumes import VolumeUnavailableError
from app_wrapper.volumes.copier import Copier
from app_wrapper.volumes.copies import Between, Copy, Kept, Restored
from standby.ids import Generation, Uid
from standby.processes import SERVING_NICENESS
from tests.support.volume_contract import ANNA, BERT
from tests.support.waiting import eventually_sync

ONE = Generation(1)


class ScriptedCopies:
    """Makes copies as it was told to, and remembers in which thread, and how urgent that was."""

    def __init__(self, *, due: list[Uid] | None = None) -> None:
        self.asked: list[Uid] = []
        self.niceness: set[int] = set()
        self.threads: set[int] = set()
        self.steps: dict[Uid, Callable[[Between], Kept]] = {}
        self.closing_fails = False
        self._due = due or []

    def closed(self, _uid: Uid, _generation: Generation) -> None:
        if self.closing_fails:
            raise VolumeUnavailableError("the disk is full")

    def due(self) -> list[Uid]:
        return self._due

    def keep(self, uid: Uid, between: Between) -> Kept:
        self.asked.append(uid)
        self.threads.add(threading.get_ident())
        self.niceness.add(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return self.steps.get(uid, _makes)(between)

    def list(self, _uid: Uid) -> list[Copy]:
        return []

    def restore(self, uid: Uid, number: int | None = None, *, discard: bool = False) -> Restored:
        raise NotImplementedError

    def renew(self, uid: Uid, contents: Path) -> Copy | None:
        raise NotImplementedError


def _makes(_between: Between) -> Kept:
    return Kept.MADE


Front = Callable[[ScriptedCopies], Copier]


@pytest.fixture
def told() -> list[Kept]:
    return []


@pytest.fixture
def begun(told: list[Kept]) -> Iterator[Front]:
    copiers: list[Copier] = []

    def begin(copies: ScriptedCopies) -> Copier:
        copiers.append(Copier(copies, told.append))
        copiers[-1].begin()
        return copiers[-1]

    yield begin
    for each in copiers:
        each.close()


def test_what_was_due_before_the_start_is_copied_first(begun: Front, told: list[Kept]) -> None:
    copies = ScriptedCopies(due=[BERT])
    begun(copies).closed(ANNA, ONE)
    eventually_sync(lambda: len(told) == 2, "both are copied")
    assert copies.asked == [BERT, ANNA]


def test_copies_are_made_in_a_thread_that_others_are_more_urgent_than(
    begun: Front, told: list[Kept]
) -> None:
    copies = ScriptedCopies()
    begun(copies).closed(ANNA, ONE)
    eventually_sync(lambda: told, "it is copied")
    assert threading.get_ident() not in copies.threads
    assert copies.niceness == {SERVING_NICENESS}
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) < SERVING_NICENESS


@pytest.mark.parametrize("error", [VolumeUnavailableError("no"), OSError("no"), ValueError("no")])
def test_a_copy_that_fails_costs_no_other(begun: Front, told: list[Kept], error: Exception) -> None:
    copies = ScriptedCopies()

    def fails(_between: Between) -> Kept:
        raise error

    copies.steps[ANNA] = fails
    copier = begun(copies)
    copier.closed(ANNA, ONE)
    copier.closed(BERT, ONE)
    eventually_sync(lambda: len(told) == 2, "both were tried")
    assert told == [Kept.FAILED, Kept.MADE]


def test_a_claim_that_cannot_be_remembered_is_counted_and_harms_nobody(
    begun: Front, told: list[Kept]
) -> None:
    copies = ScriptedCopies()
    copies.closing_fails = True
    begun(copies).closed(ANNA, ONE)
    assert told == [Kept.FAILED]


def test_the_end_of_the_wrapper_ends_a_copy_between_two_parts(
    begun: Front, told: list[Kept]
) -> None:
    copies = ScriptedCopies()
    running = threading.Event()

    def endless(between: Between) -> Kept:
        while True:
            between()
            running.set()

    copies.steps[ANNA] = endless
    copier = begun(copies)
    copier.closed(ANNA, ONE)
    copier.closed(BERT, ONE)
    assert running.wait(60), "it copies"
    copier.close()
    assert copies.asked == [ANNA]
    assert told == []
    assert not any(each.name == "copies" for each in threading.enumerate())


def test_a_copier_that_never_began_can_be_closed(told: list[Kept]) -> None:
    Copier(ScriptedCopies(), told.append).close()
