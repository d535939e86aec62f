"""Servers forked from a template are processes of their own in everything but where they come from."""

import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app_wrapper.settings import LauncherKind
from app_wrapper.wrapper import running
from standby.processes import may_prefer, start_time
from tests.support import enclaves
from tests.support.waiting import eventually
from tests.support.wrapper import APPS, TINY, TinyClient, enroll, ready, settings
from tests.support.wrapper_process import WrapperProcess, start, started

_APP = APPS / "forked" / "app.toml"
_POOL = 3


@pytest.fixture
async def wrapper(tmp_path: Path) -> AsyncIterator[WrapperProcess]:
    enroll(tmp_path, "anna", "bert")
    chosen = settings(tmp_path, app=_APP, launcher=LauncherKind.FORK, pool_size=_POOL)
    async with started(chosen) as process:
        await process.ready(_POOL)
        yield process


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _templates(wrapper: WrapperProcess) -> list[int]:
    return [int(each["pid"]) for each in wrapper.log("template_ready")]


def _template(wrapper: WrapperProcess) -> int:
    return _templates(wrapper)[-1]


async def _ask(port: int | None, *questions: str) -> list[str]:
    async with TinyClient.to(port) as client:
        return [await client.ask(each) for each in questions]


async def test_servers_are_children_of_the_wrapper_and_sessions_of_their_own(
    wrapper: WrapperProcess,
) -> None:
    def all_children() -> list[int]:
        found = _children(wrapper.child.pid)
        return found if len(found) == _POOL + 2 else []

    children = await eventually(all_children, "servers, the template and the server ahead")
    for server in await wrapper.ready(_POOL):
        pid, group = await _ask(server.port, "PID", "GROUP")
        assert int(pid) in children
        assert group == f"{pid} {pid}"
    assert _template(wrapper) in children


async def test_servers_share_neither_files_nor_environment_nor_luck(
    wrapper: WrapperProcess,
) -> None:
    servers = await wrapper.ready(_POOL)
    answers = [
        await _ask(each.port, "FILES", "ENVIRONMENT", "RANDOM", "DIRECTORY") for each in servers
    ]
    for server, (files, environment, _, directory) in zip(servers, answers, strict=True):
        # its pipes, its listener, the connection, and the listing itself
        assert len(files.split()) == 6
        assert {"FORKED_BOOT_ID", "PATH"} <= set(environment.split())
        assert "STANDBY_TEMPLATE_FD" not in environment.split()
        assert not [name for name in environment.split() if name.startswith("APP_WRAPPER")]
        assert directory.endswith(f"{server.slot}-{server.boot_id}")
    assert len({luck for _, _, luck, _ in answers}) == _POOL


@pytest.mark.parametrize("launcher", [LauncherKind.SPAWN, LauncherKind.FORK])
async def test_a_server_starts_however_many_descriptors_its_wrapper_has(
    tmp_path: Path, launcher: LauncherKind
) -> None:
    """The wrapper of a large pool has more than one server may have; so have the sockets that it hands over."""
    enroll(tmp_path, "anna")
    few = 64
    chosen = settings(tmp_path, app=_APP, launcher=launcher, pool_size=1, server_descriptors=few)
    with contextlib.ExitStack() as others:
        for _ in range(2 * few):
            others.enter_context(socket.socket())
        async with running(chosen) as wrapper:
            (server,) = await ready(wrapper)
            async with TinyClient.to(server.port) as client:
                assert (await client.ask("USER anna")).startswith("VOLUME ")


@pytest.mark.parametrize("launcher", sorted({*LauncherKind} - {LauncherKind.SCONE}))
async def test_servers_give_way_while_they_start_and_a_little_when_they_serve(
    tmp_path: Path, launcher: LauncherKind
) -> None:
    if not may_prefer():
        pytest.skip("giving a process its priority back needs CAP_SYS_NICE")
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    chosen = settings(
        tmp_path,
        app=_app_with(tmp_path, gate),
        launcher=launcher,
        enclave=enclaves.write(tmp_path / "enclave.toml"),
        pool_size=1,
    )
    async with started(chosen) as wrapper:
        await eventually(lambda: _at_work(wrapper), "a server is being started")
        (pid,) = _at_work(wrapper)
        await eventually(lambda: _niceness(pid) in {(10, 10), (10, None)}, "it gives way")
        gate.write_text("go")
        await wrapper.ready()
        assert _niceness(pid) in {(2, 2), (2, None)}


def _at_work(wrapper: WrapperProcess) -> list[int]:
    """Pids of its servers, by their directories."""
    return [pid for pid in _children(wrapper.child.pid) if _directory(pid).parent.name == "slots"]


def _directory(pid: int) -> Path:
    try:
        return Path(f"/proc/{pid}/cwd").readlink()
    except OSError:  # it has just ended
        return Path()


def _ahead(wrapper: WrapperProcess) -> list[int]:
    """Pids of servers that were forked and wait for their request."""
    others = {*_at_work(wrapper), *_templates(wrapper)}
    return [pid for pid in _children(wrapper.child.pid) if pid not in others]


def _app_with(directory: Path, gate: Path) -> Path:
    """The application, whose servers wait at the gate."""
    text = _APP.read_text().replace("{app_dir}", str(_APP.parent))
    file = directory / "app.toml"
    file.write_text(text.replace("set = {", f'set = {{ FORKED_GATE = "{gate}",'))
    return file


def _niceness(pid: int) -> tuple[int, int | None]:
    """Its own, and its session's where the kernel knows that."""
    file = Path(f"/proc/{pid}/autogroup")
    own = os.getpriority(os.PRIO_PROCESS, pid)
    return own, int(file.read_text().split()[-1]) if file.exists() else None


async def test_a_killed_wrapper_takes_the_template_and_all_servers_with_it(
    wrapper: WrapperProcess,
) -> None:
    pids = _children(wrapper.child.pid)
    wrapper.signal(signal.SIGKILL)
    await wrapper.ended()
    await eventually(lambda: not [pid for pid in pids if start_time(pid)], "nothing is left")


async def test_a_templates_death_touches_no_session_and_another_one_follows(
    wrapper: WrapperProcess,
) -> None:
    servers = await wrapper.ready(_POOL)
    first = _template(wrapper)
    async with TinyClient.to(servers[0].port) as client:
        assert (await client.ask("USER anna")).startswith("VOLUME ")
        os.kill(first, signal.SIGKILL)
        os.kill(int((await _ask(servers[1].port, "PID"))[0]), signal.SIGKILL)
        await eventually(lambda: _template(wrapper) != first, "another template")
        assert await client.ask("PID")
    await wrapper.ready(_POOL - 1)


async def test_the_server_ahead_ends_with_its_template_and_is_reaped(
    wrapper: WrapperProcess,
) -> None:
    await wrapper.ready(_POOL)
    (ahead,) = await eventually(lambda: _ahead(wrapper), "one is ahead")
    os.kill(_template(wrapper), signal.SIGKILL)
    await eventually(lambda: not Path(f"/proc/{ahead}").exists(), "it is gone, and no zombie")


async def test_the_death_of_the_server_ahead_costs_nothing(wrapper: WrapperProcess) -> None:
    servers = await wrapper.ready(_POOL)
    (ahead,) = await eventually(lambda: _ahead(wrapper), "one is ahead")
    os.kill(ahead, signal.SIGKILL)
    await eventually(lambda: not Path(f"/proc/{ahead}").exists(), "it is gone, and no zombie")
    async with TinyClient.to(servers[0].port) as client:
        assert await client.ask("EXIT 0") == ""
    await eventually(lambda: wrapper.log("server_gone"), "a server is to be replaced")
    await wrapper.ready(_POOL)
    assert len(_templates(wrapper)) == 1


async def test_a_template_that_has_grown_is_replaced_and_no_server_minds(
    wrapper: WrapperProcess,
) -> None:
    servers = await wrapper.ready(_POOL)
    first = _template(wrapper)
    async with TinyClient.to(servers[0].port) as client:
        assert (await client.ask("USER anna")).startswith("VOLUME ")
        os.kill(first, signal.SIGUSR1)
        await eventually(lambda: _mebibytes(first) > 50, "it has grown")
        async with TinyClient.to(servers[1].port) as other:
            assert await other.ask("EXIT 0") == ""
        await eventually(lambda: _template(wrapper) != first, "another template")
        await eventually(lambda: start_time(first) is None, "the first one has ended")
        assert await client.ask("PID")
    await wrapper.ready(_POOL - 1)


def _mebibytes(pid: int) -> float:
    """Of resident memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


async def test_an_exit_status_is_seen_and_one_that_would_repeat_is_told_apart(
    wrapper: WrapperProcess,
) -> None:
    servers = await wrapper.ready(_POOL)
    for server, status in zip(servers, (3, 0, os.EX_CONFIG), strict=True):
        async with TinyClient.to(server.port) as client:
            assert await client.ask(f"EXIT {status}") == ""
    await eventually(lambda: len(wrapper.log("server_gone")) == _POOL, "all have ended")
    told = {each["how"] for each in wrapper.log("server_gone")}
    assert told == {"exit status 3", "exit status 0", "exit status 78 (its configuration is wrong)"}
    await wrapper.ready(_POOL)


async def test_what_a_server_leaves_behind_is_ended_and_reaped(wrapper: WrapperProcess) -> None:
    (server, *_) = await wrapper.ready(_POOL)
    pid, orphan = await _ask(server.port, "PID", "ORPHAN")
    os.kill(int(pid), signal.SIGKILL)
    await eventually(
        lambda: not [each for each in (pid, orphan) if Path(f"/proc/{each}").exists()],
        "no process, nor a zombie",
    )


async def test_an_application_without_a_template_cannot_be_forked(tmp_path: Path) -> None:
    chosen = settings(tmp_path, app=TINY, launcher=LauncherKind.FORK)
    log = tmp_path / "log"
    process = start(chosen, log)
    assert process.wait(20) == os.EX_CONFIG
    assert "names no template" in log.read_text()
