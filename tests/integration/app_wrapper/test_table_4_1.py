"""The dissertation's table 4.1, row by row: a server's event, and what the wrapper does about it.

    WAITING_LOGIN   report Ready
    LOGIN <uid>     report Active; provision the user's data
    LOGOUT          report Stopped; deprovision the data; close all; start the server again

The server is a program in another language, adopted by its `app.toml`, once with an inherited socket and once with a
port; the reports go to a real server with mutual TLS.
"""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app_wrapper.settings import Settings
from app_wrapper.wrapper import Wrapper, running
from standby import tls
from standby.identity import Role
from standby.ids import BootId
from standby.processes import start_time
from standby.states import State, StopReason
from tests.support.certificates import Certificates
from tests.support.report_receiver import ReportReceiver
from tests.support.waiting import eventually
from tests.support.wrapper import TINY, TINY_PORT, TinyClient, enroll, ready, settings, with_tls


@pytest.fixture(params=[TINY, TINY_PORT], ids=["inherited socket", "port"])
async def told(
    request: pytest.FixtureRequest, tmp_path: Path, certificates: Certificates
) -> AsyncIterator[tuple[Wrapper, ReportReceiver, Settings]]:
    """A wrapper with one server, and who receives its reports."""
    context = tls.server_context(certificates.part(Role.ROUTING_MANAGER, "main"))
    async with ReportReceiver.listening(context) as receiver, contextlib.AsyncExitStack() as stack:
        enroll(tmp_path, "anna")
        chosen = settings(
            tmp_path,
            app=request.param,
            pool_size=1,
            report_urls=(receiver.url,),
            **with_tls(certificates.part(Role.WRAPPER, "w1")),
        )
        wrapper = await stack.enter_async_context(running(chosen))
        yield wrapper, receiver, chosen


def _states(receiver: ReportReceiver, boot_id: str) -> list[State]:
    states = [each.state for each in receiver.story(boot_id)]
    return list(dict.fromkeys(states))


async def test_waiting_login_is_reported_as_ready(
    told: tuple[Wrapper, ReportReceiver, Settings],
) -> None:
    wrapper, receiver, _ = told
    (server,) = await ready(wrapper)
    story = await eventually(
        lambda: [each for each in receiver.story(server.boot_id) if each.state is State.READY],
        "READY was reported",
    )
    assert (story[0].address, story[0].port, story[0].uid) == ("127.0.0.1", server.port, None)


async def test_login_is_reported_as_active_and_the_users_data_is_provisioned(
    told: tuple[Wrapper, ReportReceiver, Settings],
) -> None:
    wrapper, receiver, chosen = told
    (server,) = await ready(wrapper)
    async with TinyClient.to(server.port) as client:
        boot_id, generation = await client.log_in("anna")
        assert (boot_id, generation) == (server.boot_id, 1)
        assert await client.ask("NOTE on the user's own volume") == "NOTED"
        active = await eventually(
            lambda: [each for each in receiver.story(boot_id) if each.generation == 1],
            "ACTIVE was reported with the generation",
        )
    assert (active[0].state, active[0].uid) == (State.ACTIVE, "anna")
    assert (chosen.volumes_dir / "anna/data/notes").read_text() == "on the user's own volume\n"


async def test_login_is_reported_before_the_data_has_come(
    tmp_path: Path, certificates: Certificates
) -> None:
    context = tls.server_context(certificates.part(Role.ROUTING_MANAGER, "main"))
    async with ReportReceiver.listening(context) as receiver:
        enroll(tmp_path, "anna")
        chosen = settings(
            tmp_path,
            pool_size=1,
            provisioning_delay=0.3,
            report_urls=(receiver.url,),
            **with_tls(certificates.part(Role.WRAPPER, "w1")),
        )
        async with running(chosen) as wrapper:
            (server,) = await ready(wrapper)
            async with TinyClient.to(server.port) as client:
                await client.log_in("anna")
                active = [
                    each for each in receiver.story(server.boot_id) if each.state is State.ACTIVE
                ]
    assert active[0].generation is None


async def test_logout_is_reported_as_stopped_the_data_is_given_back_and_a_fresh_server_started(
    told: tuple[Wrapper, ReportReceiver, Settings],
) -> None:
    wrapper, receiver, chosen = told
    (server,) = await ready(wrapper)
    async with TinyClient.to(server.port) as client:
        await client.log_in("anna")
        pid = _pid(wrapper, server.boot_id)
        assert await client.ask("BYE") == "GOODBYE"
        assert await client.hear() == ""  # all connections are closed
    (fresh,) = await ready(wrapper)
    assert fresh.boot_id != server.boot_id
    assert start_time(pid) is None  # the process is gone
    assert (chosen.volumes_dir / "anna/claim").read_text().strip() == ""  # nobody holds the data
    assert not list((chosen.state_dir / "slots").glob(f"*{server.boot_id}"))
    await eventually(
        lambda: State.READY in _states(receiver, fresh.boot_id), "the fresh server was reported"
    )
    assert _states(receiver, server.boot_id)[-2:] == [State.ACTIVE, State.STOPPED]
    assert receiver.story(server.boot_id)[-1].reason is StopReason.LOGOUT


async def test_the_data_is_given_back_only_after_the_process_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that said LOGOUT and lingers still has the user's files open."""
    monkeypatch.setenv("TINY_LINGER", "0.4")
    volumes = enroll(tmp_path, "anna")
    async with running(settings(tmp_path, pool_size=1)) as wrapper:
        (server,) = await ready(wrapper)
        async with TinyClient.to(server.port) as client:
            await client.log_in("anna")
            pid = _pid(wrapper, server.boot_id)
            await client.ask("BYE")
        holders = []

        def gone() -> bool:
            holder = volumes.list()[0].holder
            if start_time(pid) is None:
                return True
            holders.append(holder.boot_id if holder else None)
            return False

        await eventually(gone, "the process is gone")
        assert set(holders) == {server.boot_id}
        await ready(wrapper)
    assert [each.holder for each in volumes.list()] == [None]


def _pid(wrapper: Wrapper, boot_id: BootId) -> int:
    handle = wrapper.supervisor._sidecars[boot_id].handle
    assert handle is not None
    assert handle.pid is not None
    return handle.pid
