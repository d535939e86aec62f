"""Simulated enclaves: late, large, and gone without a trace."""

import asyncio
import contextlib
import os
import resource
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random

import msgspec
import pytest

from app_wrapper.launchers import LaunchError
from app_wrapper.launchers.simulated.launcher import SimulatedEnclaveLauncher
from app_wrapper.settings import LauncherKind
from app_wrapper.wrapper import running
from standby.settings import SettingsError
from tests.support.enclaves import PAGING, SMALL, heaps, write
from tests.support.launching import Server, launched, request, spawn
from tests.support.waiting import eventually
from tests.support.wrapper import TinyClient, enroll, ready, settings
from tests.support.wrapper_process import WrapperProcess, started

HEAP = SMALL.memory.heap_bytes


@pytest.fixture
def launcher() -> SimulatedEnclaveLauncher:
    return SimulatedEnclaveLauncher(spawn(), SMALL, SMALL.start.enclave, Random(0))


@contextlib.contextmanager
def _no_heap_is_left() -> Iterator[None]:
    assert not heaps()
    yield
    assert not heaps()


# Late


async def test_a_server_is_not_heard_before_an_enclave_would_have_started(
    launcher: SimulatedEnclaveLauncher, tmp_path: Path
) -> None:
    expected = SMALL.start.enclave.draw(Random(0))
    async with launched(launcher, tmp_path) as server:
        await eventually(lambda: server.lines, "it is heard")
        assert server.said_at[0] - server.launched_at >= expected


async def test_a_server_that_does_not_fit_also_waits_for_paging(
    launcher: SimulatedEnclaveLauncher, tmp_path: Path
) -> None:
    pages: list[int] = []
    launcher.on_paging = pages.append
    async with launched(launcher, tmp_path), launched(launcher, tmp_path) as second:
        await eventually(lambda: second.lines, "it is heard")
        assert second.said_at[0] - second.launched_at >= SMALL.start.enclave.low + PAGING
    assert pages == [0, 512]


async def _answered(server: Server, *answers: str) -> tuple[float, str]:
    """Seconds until a user who logs in is answered, and how."""
    loop = asyncio.get_running_loop()
    await eventually(lambda: server.lines, "it waits for a user")
    async with TinyClient.to(server.port) as client:
        client._writer.write(b"USER anna\n")
        await eventually(lambda: server.lines[1:] == ["LOGIN anna"], "somebody logs in")
        asked = loop.time()
        for each in answers:
            server.handle.answer(each)
        return await _heard(client, asked)


async def _heard(client: TinyClient, asked: float) -> tuple[float, str]:
    said = await client.hear()
    return asyncio.get_running_loop().time() - asked, said


async def test_a_login_waits_for_pages_that_others_have_taken(
    launcher: SimulatedEnclaveLauncher, tmp_path: Path
) -> None:
    pages: list[int] = []
    async with launched(launcher, tmp_path) as first, launched(launcher, tmp_path) as second:
        launcher.on_paging = pages.append
        seconds, said = await _answered(first, "VOLUME /of/anna 1", "DENIED after it")
        assert (seconds >= PAGING, said) == (True, "VOLUME /of/anna 1")
        seconds, said = await _answered(second, "DENIED busy later")
        assert (seconds < PAGING, said) == (True, "DENIED busy later")
    assert pages == [1024], "512 pages in, as many of the other one out; a DENIED uses nothing"


async def test_a_login_whose_pages_are_there_waits_for_nothing(
    launcher: SimulatedEnclaveLauncher, tmp_path: Path
) -> None:
    async with launched(launcher, tmp_path) as server:
        seconds, said = await _answered(server, "VOLUME /of/anna 1")
    assert (seconds < PAGING, said) == (True, "VOLUME /of/anna 1")


async def test_answers_that_wait_keep_their_order_and_come_before_the_end_of_the_input(
    tmp_path: Path,
) -> None:
    inner = spawn("/bin/cat")
    launcher = SimulatedEnclaveLauncher(inner, SMALL, SMALL.start.enclave, Random(0))
    async with launched(launcher, tmp_path) as first, launched(launcher, tmp_path) as second:
        for each in first, second:
            each.handle.answer("VOLUME /of/anna 1")
            each.handle.answer("DENIED after it")
        second.handle.close_stdin()
        assert (await second.ended()).text == "exit status 0"
        assert await second.all_said() == ["VOLUME /of/anna 1", "DENIED after it"]
        await eventually(lambda: len(first.lines) == 2, "the other one is answered in the end")
        assert first.lines == second.lines


async def test_the_end_of_a_server_ends_every_wait(tmp_path: Path) -> None:
    slow = msgspec.structs.replace(SMALL.start.enclave, low=60.0, mean=61.0, high=62.0)
    inner = spawn("/bin/sh", "-c", "echo WAITING_LOGIN; exit 4")
    launcher = SimulatedEnclaveLauncher(inner, SMALL, slow, Random(0))
    async with launched(launcher, tmp_path) as server:
        assert (await server.ended()).text == "exit status 4"
        assert await server.all_said() == ["WAITING_LOGIN"]


# Large, and gone


async def test_the_heap_is_really_taken_and_given_back(
    launcher: SimulatedEnclaveLauncher, tmp_path: Path
) -> None:
    with _no_heap_is_left():
        async with launched(launcher, tmp_path) as server:
            assert heaps() == {server.boot_id: HEAP}
            assert launcher.heap_bytes == HEAP
            os.kill(server.handle.pid or 0, signal.SIGKILL)
            await server.ended()
            assert not heaps(), "its end is enough"
            assert launcher.heap_bytes == 0


async def test_a_server_in_an_enclave_does_not_inherit_its_heap(
    launcher: SimulatedEnclaveLauncher, tmp_path: Path
) -> None:
    async with launched(launcher, tmp_path), launched(launcher, tmp_path) as second:
        await eventually(lambda: second.lines, "it listens")
        assert heaps()
        assert not heaps(second.handle.pid)


async def test_a_failed_launch_leaves_no_heap_and_no_pages(tmp_path: Path) -> None:
    inner = spawn(str(tmp_path / "no-such-program"))
    launcher = SimulatedEnclaveLauncher(inner, SMALL, SMALL.start.enclave, Random(0))
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        _no_heap_is_left(),
        pytest.raises(LaunchError, match="no-such-program"),
    ):
        await launcher.launch(request(tmp_path, listener))
    assert launcher.heap_bytes == 0


async def test_a_launch_that_is_given_up_leaves_no_heap(
    launcher: SimulatedEnclaveLauncher, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        launching = asyncio.create_task(launcher.launch(request(tmp_path, listener)))
        await asyncio.sleep(0)  # it asks for the memory, in a thread
        launching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await launching
    await eventually(lambda: not heaps(), "the memory is given back")
    assert launcher.heap_bytes == 0


@pytest.fixture
def _no_large_files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (HEAP // 2, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("_no_large_files")
async def test_more_memory_than_there_is_is_a_failed_launch(
    launcher: SimulatedEnclaveLauncher, tmp_path: Path
) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        _no_heap_is_left(),
        pytest.raises(LaunchError, match=r"no 4 MiB for a simulated enclave: .*too large"),
    ):
        await launcher.launch(request(tmp_path, listener))


# In a wrapper


@pytest.fixture
async def wrapper(tmp_path: Path) -> AsyncIterator[WrapperProcess]:
    enroll(tmp_path, "anna")
    file = write(tmp_path / "enclave.toml")
    chosen = settings(tmp_path, launcher=LauncherKind.SIMULATED_ENCLAVE, enclave=file, pool_size=2)
    async with started(chosen) as process:
        yield process


async def test_a_wrapper_serves_sessions_and_says_that_it_only_simulates(
    wrapper: WrapperProcess,
) -> None:
    servers = await wrapper.ready(2)
    (warning,) = wrapper.log("enclaves_are_simulated")
    assert "protect nothing" in warning["text"]
    assert warning["parameters"].endswith("enclave.toml")
    assert heaps(wrapper.child.pid) == {each.boot_id: HEAP for each in servers}
    async with TinyClient.to(servers[0].port) as client:
        boot_id, generation = await client.log_in("anna")
        assert generation == 1
        assert await client.ask("BYE") == "GOODBYE"
    fresh = await eventually(lambda: _others(wrapper, boot_id), "another one is READY")
    assert heaps(wrapper.child.pid) == dict.fromkeys(fresh, HEAP)
    _, metrics = await wrapper.get("/metrics")
    assert _value(metrics, "enclave_bytes") == 2 * HEAP
    assert _value(metrics, "paged_pages_total") >= 512


async def _others(wrapper: WrapperProcess, boot_id: str) -> set[str]:
    """The boot ids of two READY servers, none of which is that one."""
    found = {str(each.boot_id) for each in await wrapper.ready(2)}
    return set() if boot_id in found else found


def _value(metrics: str, name: str) -> float:
    name = f"standby_app_wrapper_simulated_{name} "
    (line,) = [each for each in metrics.splitlines() if each.startswith(name)]
    return float(line.removeprefix(name))


async def test_a_killed_servers_heap_is_given_back(wrapper: WrapperProcess) -> None:
    servers = await wrapper.ready(2)
    before = {each.boot_id for each in servers}
    (child, *_) = _children(wrapper.child.pid)
    os.kill(child, signal.SIGKILL)
    await eventually(lambda: before - set(heaps(wrapper.child.pid)), "a heap is given back")
    await eventually(
        lambda: len(heaps(wrapper.child.pid)) == 2 and wrapper.log("server_gone"),
        "another enclave is there",
    )


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def test_a_wrapper_that_ends_leaves_no_heap(tmp_path: Path) -> None:
    file = write(tmp_path / "enclave.toml")
    chosen = settings(
        tmp_path, launcher=LauncherKind.SIMULATED_CONTAINER, enclave=file, pool_size=2
    )
    with _no_heap_is_left():
        async with running(chosen) as wrapper:
            first = (await ready(wrapper))[0]
            assert first.since - first.launched_at >= SMALL.start.container_and_enclave.low
            assert first.boot_id in heaps()


async def test_a_wrapper_does_not_start_with_parameters_that_make_no_sense(tmp_path: Path) -> None:
    file = write(tmp_path / "enclave.toml")
    file.write_text(file.read_text().replace("login = 4", "login = 5"))
    chosen = settings(tmp_path, launcher=LauncherKind.SIMULATED_ENCLAVE, enclave=file)
    with pytest.raises(SettingsError, match="login is larger than heap"):
        async with running(chosen):
            pass
