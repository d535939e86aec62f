"""The timer calls at the deadline, late after an error, and never in a spin."""

import asyncio
import time
from collections.abc import Callable
from math import inf

import pytest

from standby.deadlines import TIMER_AGAIN
from standby.timer import Timer
from tests.support.waiting import eventually


class Core:
    """Something that is due, and is done or not when it is called."""

    def __init__(self) -> None:
        self.deadline = inf
        self.calls: list[float] = []
        self.does: Callable[[], None] = self.finish

    def finish(self) -> None:
        self.deadline = inf

    def next_deadline(self) -> float:
        return self.deadline

    def work(self) -> None:
        self.calls.append(time.monotonic())
        self.does()


@pytest.fixture
def core() -> Core:
    return Core()


@pytest.fixture
async def errors() -> list[Exception]:
    return []


@pytest.fixture
async def timer(core: Core, errors: list[Exception]) -> Timer:
    return Timer(time.monotonic, core.next_deadline, core.work, errors.append)


async def test_a_call_comes_when_it_is_due_and_not_again(core: Core, timer: Timer) -> None:
    due = core.deadline = time.monotonic() + 0.05
    timer.arm()
    await eventually(lambda: core.calls, "the call")
    assert core.calls[0] >= due - 0.01
    core.deadline = due + 0.1
    timer.arm()
    await eventually(lambda: len(core.calls) == 2, "the second call")


async def test_an_earlier_deadline_replaces_a_later_one(core: Core, timer: Timer) -> None:
    core.deadline = time.monotonic() + 3600
    timer.arm()
    core.deadline = time.monotonic()
    timer.arm()
    await eventually(lambda: core.calls, "the call")


async def test_a_call_that_fails_is_made_again_but_not_at_once(
    core: Core, timer: Timer, errors: list[Exception]
) -> None:
    def fail() -> None:
        raise ValueError("broken")

    core.does = fail
    core.deadline = time.monotonic()
    timer.arm()
    await eventually(lambda: len(core.calls) >= 3, "three calls")
    assert core.calls[2] - core.calls[0] >= 2 * TIMER_AGAIN - 0.01
    assert [str(each) for each in errors[:3]] == ["broken"] * 3
    timer.stop()


async def test_a_call_that_changes_nothing_does_not_make_it_spin(
    core: Core, timer: Timer, errors: list[Exception]
) -> None:
    core.does = timer.arm  # as a service does after everything
    core.deadline = time.monotonic()
    timer.arm()
    await eventually(lambda: len(core.calls) >= 3, "three calls")
    assert core.calls[2] - core.calls[0] >= 2 * TIMER_AGAIN - 0.01
    assert not errors
    timer.stop()


async def test_news_do_not_bring_a_failed_call_back_sooner(core: Core, timer: Timer) -> None:
    def fail() -> None:
        raise ValueError("broken")

    core.does = fail
    core.deadline = time.monotonic()
    timer.arm()
    await eventually(lambda: core.calls, "the first call")
    core.does = core.finish
    core.deadline = time.monotonic()
    timer.arm()
    await eventually(lambda: len(core.calls) == 2, "the second call")
    assert core.calls[1] - core.calls[0] >= TIMER_AGAIN - 0.01


async def test_a_stopped_timer_calls_no_more(core: Core, timer: Timer) -> None:
    core.deadline = time.monotonic()
    timer.arm()
    timer.stop()
    timer.arm()
    later = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.05, later.set_result, None)
    await later
    assert not core.calls
