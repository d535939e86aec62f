"""An open loop: intended times do not depend on how long answers take."""

import asyncio
import itertools

from smartgrid_client.schedule import Schedule, reached, ticks


def test_times_are_evenly_spaced_and_end_with_the_duration() -> None:
    assert list(Schedule(100.0, 10.0, 35.0).times()) == [100, 110, 120, 130]
    assert list(Schedule(100.0, 10.0, 30.0).times()) == [100, 110, 120]


def test_a_short_session_still_has_one_request() -> None:
    assert list(Schedule(0.0, 10.0, 0.0).times()) == [0.0]


def test_without_a_pause_there_is_always_a_next_time() -> None:
    assert list(itertools.islice(Schedule(5.0, 0.0, 1.0).times(), 3)) == [5.0, 5.0, 5.0]


async def test_overdue_requests_are_sent_at_once_until_time_is_up() -> None:
    start = asyncio.get_running_loop().time() - 100
    assert [each - start async for each in ticks(Schedule(start, 40.0, 120.0), asyncio.Event())] == [
        0, 40, 80,
    ]  # fmt: skip
    assert [each - start async for each in ticks(Schedule(start, 10.0, 50.0), asyncio.Event())] == [
        0
    ]


async def test_stop_ends_the_wait() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.call_soon(stop.set)
    assert not await reached(loop.time() + 3600, stop)
    assert [each async for each in ticks(Schedule(loop.time(), 1.0, 9.0), stop)] == []
