"""Starting, dying and ending: nothing is left behind, and what dies comes back."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from bench.processes import descendants
from smartgrid_client.errors import ClientError
from smartgrid_client.messages import Alarm, Metric
from standby.approach import Approach
from standby.processes import start_time
from tests.support.platform import RunningPlatform, User, command, platform
from tests.support.waiting import eventually, eventually_sync

POOL = 2


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    with platform(tmp_path_factory.mktemp("shared"), "--pool-size", str(POOL)) as started:
        yield started


@pytest.fixture(scope="module")
def users(shared: RunningPlatform) -> list[User]:
    return shared.enroll_many(["alice", "bob"])


@pytest.fixture
async def running(shared: RunningPlatform) -> AsyncIterator[RunningPlatform]:
    """One platform for several tests, after each of which it is as it was before."""
    yield shared
    await eventually(lambda: shared.has_ready(POOL), "every part is there, and the pool is full")


def _gone(pids: list[int]) -> bool:
    return not [pid for pid in pids if start_time(pid) is not None]


def test_a_platform_ends_without_leaving_processes_and_starts_again(tmp_path: Path) -> None:
    for _ in range(2):
        _one_life(tmp_path)


def _one_life(directory: Path) -> None:
    with platform(directory, "--pool-size", "1", "--wrappers", "2") as running:
        pids = running.pids
        servers = {*running.servers("w1").values(), *running.servers("w2").values()}
        assert len(servers) == 2
        assert servers < {*pids}
        second = command("up", "--state-dir", running.state_dir, "--detach", check=False)
        assert second.returncode != 0
        assert "standby down" in second.stderr
    eventually_sync(lambda: _gone(pids), "every process of the platform has ended")
    assert not (running.state_dir / "endpoints.json").exists()
    assert not list(running.state_dir.rglob("*.sock"))


def test_a_platform_ends_with_its_supervisor_however_that_dies(tmp_path: Path) -> None:
    with platform(tmp_path, "--pool-size", "1") as running:
        pids = running.pids
        os.kill(running.endpoints["pids"]["supervisor"], signal.SIGKILL)
        eventually_sync(lambda: _gone(pids), "every process of the platform has ended")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_start_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "standby_cli", "up", "--state-dir", str(tmp_path / "state")],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        lock = tmp_path / "state" / "supervisor.lock"
        eventually_sync(lambda: lock.exists() and lock.read_text(), "the supervisor has begun")
        process.send_signal(number)
        assert process.wait(60) == 128 + number
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    mentions = [
        path.parent.name
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if str(tmp_path).encode() in _read(path)
    ]
    assert not mentions


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_commands_without_a_platform_say_so(tmp_path: Path) -> None:
    assert command("status", "--state-dir", tmp_path, check=False).returncode == 3
    assert command("down", "--state-dir", tmp_path).returncode == 0


async def test_sessions_survive_the_routing_managers_death(
    running: RunningPlatform, users: list[User]
) -> None:
    user, other = users
    async with running.client(user) as client:
        login = await client.login(user.key)
        before = running.endpoints["pids"]["routing_manager"]
        os.kill(before, signal.SIGKILL)
        await client.write([Alarm(Metric.POWER, 1.0)])
        await eventually(
            lambda: running.endpoints["pids"]["routing_manager"] != before,
            "the Routing Manager was started again",
        )
        await eventually(lambda: running.has_ready(1), "it knows the pool again", deadline=20)
        async with running.client(user) as again:
            assert (await again.login(user.key)).boot_id == login.boot_id
            await again.logout()
        async with running.client(other) as third:
            assert (await third.login(other.key)).boot_id != login.boot_id
            await third.logout()
        await client.logout()


async def test_a_killed_wrapper_takes_its_servers_along_and_nothing_acknowledged_is_lost(
    running: RunningPlatform, users: list[User]
) -> None:
    user, _ = users
    async with running.client(user) as client:
        first = await client.login(user.key)
        await client.write([Alarm(Metric.POWER, 3.0)])
        wrapper = running.endpoints["pids"]["wrappers"]["w1"]
        started = descendants(wrapper)
        assert running.servers("w1")[first.boot_id] in started
        os.kill(wrapper, signal.SIGKILL)
        await eventually(lambda: _gone(started), "all that it had started is gone too")
    await eventually(lambda: running.has_ready(POOL), "the wrapper is back", deadline=30)
    async with running.client(user) as client:
        second = await client.login(user.key)
        assert second.generation > first.generation
        assert [each.threshold for each in await client.alarms()].count(3.0) == 1
        await client.logout()


async def test_an_ending_platform_lets_open_sessions_go_on(tmp_path: Path) -> None:
    with platform(tmp_path, "--pool-size", "2") as running:
        user = running.enroll("alice")
        async with running.client(user) as client:
            await client.login(user.key)
            down = asyncio.create_task(
                asyncio.to_thread(command, "down", "--state-dir", running.state_dir)
            )
            await eventually(
                lambda: "READY" not in str(running.status()["instances"]), "the pool is given up"
            )
            await client.write([Alarm(Metric.POWER, 1.0)])
            assert [each.threshold for each in await client.alarms()] == [1.0]
            assert not down.done()
            await client.logout()
        await down


async def test_an_ending_platform_does_not_wait_for_users_who_have_gone(tmp_path: Path) -> None:
    """Its wrapper would be killed before the drain limit is reached, and could not say that a session was ended."""
    patient = {"APP_WRAPPER_DRAIN": "600", "APP_WRAPPER_WRAPPER_STOP": "700"}
    with platform(tmp_path, "--pool-size", "1", environ=patient) as running:
        user = running.enroll("alice")
        async with running.client(user) as client:
            boot_id = (await client.login(user.key)).boot_id
        await asyncio.to_thread(command, "down", "--state-dir", running.state_dir)
        records = (running.state_dir / "logs" / "w1.log").read_text().splitlines()
    ended = [each for each in map(json.loads, records) if each.get("reason") == "drained"]
    assert boot_id in {each.get("boot_id") for each in ended}


async def test_a_drained_wrapper_takes_no_new_users_ends_with_its_sessions_and_stays_away(
    tmp_path: Path,
) -> None:
    with platform(tmp_path, "--pool-size", "1", "--wrappers", "2") as running:
        user, other = running.enroll_many(["alice", "bob"])
        async with running.client(user) as client:
            await client.login(user.key)
            (mine,) = [each for each in running.status()["instances"] if each["user"] == "alice"]
            command("drain", mine["wrapper_id"], "--state-dir", running.state_dir)
            async with running.client(other) as elsewhere:
                await elsewhere.login(other.key)
                await client.write([Alarm(Metric.POWER, 1.0)])
                await client.logout()
                await eventually(
                    lambda: mine["wrapper_id"] not in running.endpoints["pids"]["wrappers"],
                    "the drained wrapper has left",
                )
                await elsewhere.logout()
        assert {each["wrapper_id"] for each in running.status()["instances"]} == (
            {"w1", "w2"} - {mine["wrapper_id"]}
        )


async def test_a_killed_load_balancer_comes_back_on_its_port(
    running: RunningPlatform, users: list[User]
) -> None:
    user, _ = users
    port, before = running.port, running.endpoints["pids"]["haproxy"]
    os.kill(before, signal.SIGKILL)
    await eventually(
        lambda: running.endpoints["pids"]["haproxy"] != before, "HAProxy was started again"
    )
    assert running.port == port
    await eventually(lambda: _logs_in(running, user), "the user can log in")


async def _logs_in(running: RunningPlatform, user: User) -> bool:
    async with running.client(user) as client:
        with contextlib.suppress(ClientError):
            await client.login(user.key)
            await client.logout()
            return True
    return False


@pytest.mark.parametrize(
    ("part", "number"),
    [
        ("routing-manager", signal.SIGTERM),
        ("w1", signal.SIGTERM),
        ("haproxy", signal.SIGTERM),
        ("haproxy", signal.SIGUSR1),
    ],
)
async def test_a_part_that_was_sent_a_signal_comes_back(
    running: RunningPlatform, users: list[User], part: str, number: signal.Signals
) -> None:
    """A signal says neither who sent it nor why; only an order to drain keeps a part away."""
    user, _ = users
    before = running.part_pids[part]
    os.kill(before, number)
    await eventually(
        lambda: running.part_pids.get(part, before) != before,
        f"{part} was started again",
    )
    await eventually(lambda: running.has_ready(POOL), "the pool is full again")
    await eventually(lambda: _logs_in(running, user), "the user can log in")


@pytest.mark.parametrize("approach", [Approach.ON_DEMAND, Approach.TRIVIAL])
async def test_the_other_approaches_serve_the_same_client(
    tmp_path: Path, approach: Approach
) -> None:
    with platform(tmp_path, "--pool-size", "2", "--approach", approach) as running:
        users = running.enroll_many(["alice", "bob", "carol"])
        for user in users * 2:
            async with running.client(user) as client:
                await client.login(user.key)
                await client.write([Alarm(Metric.POWER, 1.0)])
                await client.logout()
        states = {each["state"] for each in running.status()["instances"]}
        assert states <= ({"ACTIVE"} if approach is Approach.TRIVIAL else {"STOPPED"})
