"""What every launcher promises (`app_wrapper/launchers/__init__.py`), of those that need no wrapper around them."""

import socket
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from app_wrapper.launchers import Launcher, LaunchError
from app_wrapper.launchers.simulated.launcher import SimulatedEnclaveLauncher
from app_wrapper.launchers.spawn import SpawnLauncher
from standby.processes import start_time
from tests.support.enclaves import SMALL
from tests.support.launching import launched, request, spawn
from tests.support.waiting import eventually
from tests.support.wrapper import TinyClient


def _simulated(inner: SpawnLauncher) -> Launcher:
    return SimulatedEnclaveLauncher(inner, SMALL, SMALL.start.enclave, Random(0))


Around = Callable[[SpawnLauncher], Launcher]
LAUNCHERS: dict[str, Around] = {"spawn": lambda inner: inner, "simulated-enclave": _simulated}


@pytest.fixture(params=LAUNCHERS)
def around(request: pytest.FixtureRequest) -> Around:
    """Makes the launcher out of the one that starts programs."""
    return LAUNCHERS[request.param]


async def test_a_server_is_heard_and_answered(around: Around, tmp_path: Path) -> None:
    async with launched(around(spawn()), tmp_path) as server:
        await eventually(lambda: server.lines == ["WAITING_LOGIN"], "it waits for a user")
        server.handle.started()
        async with TinyClient.to(server.port) as client:
            assert int(await client.ask("PID")) == server.handle.pid
            assert start_time(server.handle.pid or 0) == server.handle.start_time
        async with TinyClient.to(server.port) as client:
            client._writer.write(b"USER anna\n")
            await eventually(lambda: server.lines[1:] == ["LOGIN anna"], "somebody logs in")
            server.handle.answer("VOLUME /of/anna 1")
            assert await client.hear() == "VOLUME /of/anna 1"


async def test_all_that_a_server_printed_can_be_read_after_its_end(
    around: Around, tmp_path: Path
) -> None:
    launcher = around(spawn("/bin/sh", "-c", "seq 2000; echo noise >&2; exit 3"))
    async with launched(launcher, tmp_path) as server:
        assert (await server.ended()).text == "exit status 3"
        assert await server.all_said() == [str(number) for number in range(1, 2001)]
        assert [line async for line in server.handle.log_lines()] == ["noise"]


async def test_a_killed_server_is_gone_and_its_handle_can_still_be_used(
    around: Around, tmp_path: Path
) -> None:
    async with launched(around(spawn()), tmp_path) as server:
        server.handle.kill()
        assert (await server.ended()).text == "killed by SIGKILL"
        assert start_time(server.handle.pid or 0) is None
        for _ in range(2):
            server.handle.answer("VOLUME /of/anna 1")
            server.handle.started()
            server.handle.close_stdin()
            server.handle.kill()
            server.handle.close()
            assert (await server.ended()).text == "killed by SIGKILL"


async def test_the_end_of_its_input_reaches_a_server_after_its_answers(
    around: Around, tmp_path: Path
) -> None:
    async with launched(around(spawn("/bin/cat")), tmp_path) as server:
        server.handle.answer("VOLUME /of/anna 1")
        server.handle.answer("DENIED busy later")
        server.handle.close_stdin()
        assert (await server.ended()).text == "exit status 0"
        assert await server.all_said() == ["VOLUME /of/anna 1", "DENIED busy later"]


async def test_what_cannot_be_started_is_a_lasting_failure(around: Around, tmp_path: Path) -> None:
    launcher = around(spawn(str(tmp_path / "no-such-program")))
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        pytest.raises(LaunchError, match="no-such-program") as caught,
    ):
        await launcher.launch(request(tmp_path, listener))
    assert caught.value.lasting
