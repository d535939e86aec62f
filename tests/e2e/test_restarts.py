"""A running platform changes: parts are restarted under its users, wrappers leave, come back, are added and removed."""

import asyncio
import contextlib
import os
import re
import signal
import textwrap
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from smartgrid_client.errors import ClientError
from smartgrid_client.messages import Alarm, Metric
from tests.support.load import Load, load
from tests.support.platform import RunningPlatform, User, command, platform
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(600)
DEADLINE = 120.0
POOL = 3


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    with platform(tmp_path_factory.mktemp("shared"), "--pool-size", str(POOL)) as started:
        yield started


@pytest.fixture(scope="module")
def users(shared: RunningPlatform) -> list[User]:
    return shared.enroll_many(["anna", "bert", "carla"])


@pytest.fixture
async def running(shared: RunningPlatform) -> AsyncIterator[RunningPlatform]:
    """One platform for several tests, each of which leaves it as it found it."""
    yield shared
    assert set(shared.part_pids) == {"w1", "haproxy", "routing-manager"}
    await eventually(lambda: shared.has_ready(POOL), "the pool is full again", deadline=DEADLINE)


async def _command(running: RunningPlatform, *arguments: str) -> str:
    done = await asyncio.to_thread(command, *arguments, "--state-dir", running.state_dir)
    return done.stdout


async def _everybody_is_served(seen: Load, users: int) -> None:
    seen.forget()
    await eventually(
        lambda: len([uid for uid, count in seen.answered.items() if count > 3]) == users,
        "every user has been answered",
        deadline=DEADLINE,
    )


async def _log_in(running: RunningPlatform, user: User) -> str | None:
    """The boot id of the server; None while the platform refuses the user."""
    with contextlib.suppress(ClientError):
        async with running.client(user) as client:
            return (await client.login(user.key)).boot_id
    return None


@pytest.mark.parametrize("part", ["routing-manager", "haproxy"])
async def test_the_platforms_middle_is_restarted_without_any_user_noticing(
    running: RunningPlatform, users: list[User], part: str
) -> None:
    anna, bert, carla = users
    async with load(running, [anna, bert], [carla]) as seen:
        await _everybody_is_served(seen, users=3)
        for _ in range(3):
            before = running.part_pids[part]
            await _command(running, "restart", part)
            assert running.part_pids[part] != before
        await _everybody_is_served(seen, users=3)
    assert seen.failed == {}
    assert seen.tried_again == {}


async def test_wrappers_are_restarted_one_after_another_and_each_user_logs_in_once_more(
    tmp_path: Path,
) -> None:
    short = {"APP_WRAPPER_DRAIN": "1"}
    with platform(tmp_path, "--pool-size", "3", "--wrappers", "2", environ=short) as running:
        anna, bert, carla = running.enroll_many(["anna", "bert", "carla"])
        async with load(running, [anna, bert], [carla]) as seen:
            await _everybody_is_served(seen, users=3)
            for wrapper_id in ("w1", "w2"):
                seen.forget()
                before = running.part_pids[wrapper_id]
                await _command(running, "restart", wrapper_id)
                assert running.part_pids[wrapper_id] != before
                assert seen.failed == {}
                assert all(count == 1 for count in seen.tried_again.values()), seen.tried_again
            await _everybody_is_served(seen, users=3)


async def test_a_session_goes_on_over_the_restart_of_everything_but_its_wrapper(
    running: RunningPlatform,
    users: list[User],
) -> None:
    user, *_ = users
    async with running.client(user) as client:
        login = await client.login(user.key)
        for part in ("routing-manager", "haproxy"):
            await _command(running, "restart", part)
            await client.write([Alarm(Metric.POWER, 1.0)])
            async with running.client(user) as other:
                assert (await other.login(user.key)).boot_id == login.boot_id
                await other.logout()
        await client.logout()


async def test_live_users_come_back_over_an_haproxy_that_was_killed_while_no_manager_answers(
    tmp_path: Path,
) -> None:
    quick = {"LB_LUA_ROUTE_QUERY": "2"}
    with platform(tmp_path, "--pool-size", "2", environ=quick) as running:
        user = running.enroll("anna")
        async with running.client(user) as client:
            login = await client.login(user.key)
            manager, before = (running.part_pids[each] for each in ("routing-manager", "haproxy"))
            os.kill(manager, signal.SIGSTOP)
            try:
                os.kill(before, signal.SIGKILL)
                await eventually(
                    lambda: running.part_pids["haproxy"] != before,
                    "HAProxy was started again",
                    deadline=DEADLINE,
                )
                again = await eventually(
                    lambda: _log_in(running, user), "the user came back", deadline=DEADLINE
                )
            finally:
                os.kill(manager, signal.SIGCONT)
        assert again == login.boot_id


async def test_a_drained_wrapper_comes_back_and_takes_users(
    running: RunningPlatform, users: list[User]
) -> None:
    user, *_ = users
    for comes_back in ("undrain", "restart"):
        await _command(running, "drain", "w1")
        await eventually(lambda: "w1" not in running.part_pids, "it has left", deadline=DEADLINE)
        await _command(running, comes_back, "w1")
        async with running.client(user) as client:
            await client.login(user.key)
            await client.logout()
    await _command(running, "undrain", "w1")  # it is there: nothing happens


async def test_wrappers_are_added_and_removed(tmp_path: Path) -> None:
    with platform(tmp_path, "--pool-size", "1") as running:
        anna, bert = running.enroll_many(["anna", "bert"])
        assert await _command(running, "wrappers", "add") == "w2\n"
        async with running.client(anna) as one, running.client(bert) as other:
            boots = {(await one.login(anna.key)).boot_id, (await other.login(bert.key)).boot_id}
            served = {each["wrapper_id"] for each in running.status()["instances"] if each["user"]}
            assert served == {"w1", "w2"}
            assert len(boots) == 2
            await one.logout()
            await other.logout()
        await _command(running, "wrappers", "remove", "w1")
        assert set(running.part_pids) == {"w2", "haproxy", "routing-manager"}
        with pytest.raises(AssertionError, match="the only wrapper that takes users"):
            await _command(running, "wrappers", "remove", "w2")
        with pytest.raises(AssertionError, match="there is no 'w1' here, only w2"):
            await _command(running, "drain", "w1")
        assert await _command(running, "wrappers", "add") == "w1\n"
        async with running.client(anna) as client:
            await client.login(anna.key)
            await client.logout()


async def test_a_part_that_could_not_run_is_not_put_in_the_place_of_one_that_does(
    running: RunningPlatform,
    users: list[User],
) -> None:
    user, *_ = users
    taken = running.state_dir / "lb" / "haproxy.cfg.new"
    taken.mkdir()  # the configuration cannot be written
    before = running.part_pids["haproxy"]
    with pytest.raises(AssertionError, match="a new haproxy does not run, the old one goes on"):
        await _command(running, "restart", "haproxy")
    assert running.part_pids["haproxy"] == before
    async with running.client(user) as client:
        await client.login(user.key)
        await client.logout()
    taken.rmdir()


async def test_the_commands_of_the_upgrade_page_do_what_it_says(running: RunningPlatform) -> None:
    page = (Path(__file__).parents[2] / "docs/how-to/upgrade.md").read_text(encoding="utf-8")
    steps = page.partition("\n## Step by step\n")[2].partition("\n## ")[0]
    commands = [
        (words.split(), said)
        for words, said in re.findall(
            r"^ +\$ standby (.+)\n((?: +[^$ `].*\n)*)", steps, re.MULTILINE
        )
    ]
    assert len(commands) == 7
    for words, said in commands:
        done = await asyncio.to_thread(command, *words, "--state-dir", running.state_dir)
        assert textwrap.dedent(said) in done.stderr + done.stdout
    assert set(running.part_pids) == {"w1", "haproxy", "routing-manager"}
