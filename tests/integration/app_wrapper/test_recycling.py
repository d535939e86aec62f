"""A pool of two serves many users one after another, each session on a process of its own."""

import asyncio
from pathlib import Path

from app_wrapper.wrapper import running
from tests.support.wrapper import TinyClient, enroll, ready, settings

SESSIONS = 20


async def test_twenty_sessions_over_a_pool_of_two_run_on_twenty_processes(tmp_path: Path) -> None:
    users = [f"user-{number}" for number in range(SESSIONS)]
    enroll(tmp_path, *users)
    served: list[str] = []
    async with running(settings(tmp_path, pool_size=2)) as wrapper:
        for uid in users:
            server = (await ready(wrapper))[0]
            async with TinyClient.to(server.port) as client:
                boot_id, generation = await client.log_in(uid)
                assert generation == 1
                assert await client.ask(f"NOTE mine, {uid}") == "NOTED"
                assert await client.notes() == [f"mine, {uid}"]
                assert await client.ask("BYE") == "GOODBYE"
            served.append(boot_id)
    assert len(set(served)) == SESSIONS


async def test_one_users_sessions_follow_each_other_with_growing_generations(
    tmp_path: Path,
) -> None:
    enroll(tmp_path, "anna")
    async with running(settings(tmp_path, pool_size=2, volume_handover=5.0)) as wrapper:
        for session in range(1, 6):
            server = (await ready(wrapper))[0]
            async with TinyClient.to(server.port) as client:
                assert (await client.log_in("anna"))[1] == session
                assert await client.ask(f"NOTE {session}") == "NOTED"
                assert await client.notes() == [str(number) for number in range(1, session + 1)]
                await client.ask("BYE")


async def test_two_slots_of_one_wrapper_exclude_each_other(tmp_path: Path) -> None:
    enroll(tmp_path, "anna")
    async with running(settings(tmp_path, pool_size=2)) as wrapper:
        first, second = await ready(wrapper, 2)
        async with TinyClient.to(first.port) as one, TinyClient.to(second.port) as two:
            answers = await asyncio.gather(one.ask("USER anna"), two.ask("USER anna"))
    assert sorted(answer.split()[0] for answer in answers) == ["REFUSED", "WELCOME"]
