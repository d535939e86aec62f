"""The desk before providers that are slow, broken, or about to be free."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from app_wrapper.volumes import (
    ClaimedElsewhereError,
    Holder,
    UnknownUserError,
    VolumeInfo,
)
from app_wrapper.volumes.copier import Copier
from app_wrapper.volumes.copies import Kept
from app_wrapper.volumes.desk import Desk
from standby.ids import Generation, Uid, WrapperId
from standby.lines import Denied, Volume
from tests.support.volume_contract import ANNA, BERT, holder
from tests.support.waiting import eventually
from tests.unit.app_wrapper.test_copier import ScriptedCopies

GIVEN = Volume("/anna", Generation(1))


class ScriptedVolumes:
    """Does in `claim` what it was told, and remembers releases."""

    def __init__(self, *steps: Callable[[], Volume]) -> None:
        self.steps = list(steps)
        self.released: list[tuple[Uid, Generation]] = []
        self.threads: set[int] = set()

    def claim(self, _uid: Uid, _holder: Holder) -> Volume:
        self.threads.add(threading.get_ident())
        return (self.steps.pop(0) if len(self.steps) > 1 else self.steps[0])()

    def release(self, uid: Uid, generation: Generation) -> None:
        self.released.append((uid, generation))

    def recover(self, _wrapper_id: WrapperId) -> list[Uid]:
        return [ANNA]

    def list(self) -> list[VolumeInfo]:
        return []

    def exists(self, _uid: Uid) -> bool:
        return True

    def close(self) -> None:
        pass


Front = Callable[..., Desk]


@pytest.fixture
def front() -> Iterator[Front]:
    desks: list[Desk] = []

    def make(provider: ScriptedVolumes, **changes: Any) -> Desk:
        desks.append(Desk(provider, **{"deadline": 5.0, "handover": 5.0, **changes}))
        return desks[-1]

    yield make
    for desk in desks:
        desk.close()


def _gives() -> Volume:
    return GIVEN


def _taken() -> Volume:
    raise ClaimedElsewhereError("held by 0001", holder().boot_id)


async def test_a_claim_is_made_off_the_event_loop(front: Front) -> None:
    volumes = ScriptedVolumes(_gives)
    assert await front(volumes).claim(ANNA, holder()) == GIVEN
    assert threading.get_ident() not in volumes.threads


async def test_a_holder_that_leaves_is_waited_for(front: Front) -> None:
    volumes = ScriptedVolumes(_taken, _taken, _gives)
    assert await front(volumes).claim(ANNA, holder()) == GIVEN


async def test_a_holder_that_stays_is_named(front: Front) -> None:
    answer = await front(ScriptedVolumes(_taken), handover=0.0).claim(ANNA, holder())
    assert answer == Denied("claimed_elsewhere", "held by 0001")


async def test_a_refusal_keeps_its_code_and_is_one_line(front: Front) -> None:
    def unknown() -> Volume:
        raise UnknownUserError("no\nsuch user")

    answer = await front(ScriptedVolumes(unknown)).claim(ANNA, holder())
    assert answer == Denied("unknown_user", "no such user")


async def test_a_broken_provider_is_an_answer_too(front: Front) -> None:
    def broken() -> Volume:
        raise RuntimeError("boom")

    answer = await front(ScriptedVolumes(broken)).claim(ANNA, holder())
    assert isinstance(answer, Denied)
    assert answer.code == "volume_unavailable"


async def test_a_claim_that_comes_too_late_is_given_back(front: Front) -> None:
    come = threading.Event()

    def late() -> Volume:
        come.wait(10)
        return GIVEN

    volumes = ScriptedVolumes(late)
    answer = await front(volumes, deadline=0.05).claim(ANNA, holder())
    assert isinstance(answer, Denied)
    assert answer.code == "volume_unavailable"
    assert volumes.released == []
    come.set()
    await eventually(lambda: volumes.released == [(ANNA, 1)], "it was given back")


async def test_a_slow_user_does_not_delay_another(front: Front) -> None:
    come = threading.Event()

    def late() -> Volume:
        come.wait(10)
        return GIVEN

    volumes = ScriptedVolumes(late, _gives)
    desk = front(volumes)
    slow = asyncio.create_task(desk.claim(ANNA, holder(1)))
    await eventually(lambda: len(volumes.steps) == 1, "it is under way")
    assert await desk.claim(Uid("bert"), holder(2)) == GIVEN
    assert not slow.done()
    come.set()
    assert await slow == GIVEN


async def test_the_settable_delay_makes_every_claim_slower(front: Front) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert await front(ScriptedVolumes(_gives), delay=0.1).claim(ANNA, holder()) == GIVEN
    assert loop.time() - began >= 0.09


async def test_a_failing_release_frees_the_slot_all_the_same(front: Front) -> None:
    class Failing(ScriptedVolumes):
        def release(self, uid: Uid, generation: Generation) -> None:
            raise OSError(f"disk on fire under {uid}, generation {generation}")

    await front(Failing(_gives)).release(ANNA, Generation(1))


async def test_the_copier_is_told_of_claims_that_ended_well_and_of_no_others(front: Front) -> None:
    copies = ScriptedCopies()
    told: list[Kept] = []
    volumes = ScriptedVolumes(_gives)
    desk = front(volumes, copier=Copier(copies, told.append))
    desk.begin_copies()
    await desk.release(ANNA, Generation(1))
    await desk.release(BERT, Generation(2), closed=True)
    await eventually(lambda: told, "it is copied")
    assert (volumes.released[-1], copies.asked) == ((BERT, Generation(2)), [BERT])
