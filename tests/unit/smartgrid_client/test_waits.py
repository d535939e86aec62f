"""A wait for a server is said, again and again, and no longer than it lasts."""

import asyncio

from smartgrid_client.waits import telling


async def test_it_is_said_until_the_wait_is_over() -> None:
    told: list[float] = []
    twice = asyncio.Event()

    def waits(seconds: float) -> None:
        told.append(seconds)
        if len(told) == 2:
            twice.set()

    async with telling(waits, first=0.02, again=0.01):
        await twice.wait()
    assert told[0] >= 0.01
    assert told == sorted(told)
    (leaving,) = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.wait([leaving])
    assert leaving.cancelled()


async def test_a_wait_that_is_short_is_not_worth_a_word() -> None:
    told: list[float] = []
    async with telling(told.append, first=3600):
        await asyncio.sleep(0)
    assert told == []


async def test_without_a_listener_nothing_runs() -> None:
    async with telling(None):
        assert asyncio.all_tasks() == {asyncio.current_task()}
