"""What is left when a wrapper dies, and what its next life does about it. Wrappers are real processes here."""

import asyncio
import signal
from pathlib import Path

import msgspec

from app_wrapper.settings import Settings
from standby.ids import WrapperId
from standby.processes import start_time
from standby.states import State
from tests.support.waiting import eventually
from tests.support.wrapper import TinyClient, enroll, settings
from tests.support.wrapper_process import WrapperProcess, start, started


def _server_pids(wrapper: WrapperProcess) -> list[int]:
    pid = wrapper.child.pid
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def test_a_killed_wrapper_takes_its_servers_with_it(tmp_path: Path) -> None:
    enroll(tmp_path, "anna")
    async with started(settings(tmp_path, pool_size=3)) as wrapper:
        servers = await wrapper.ready(3)
        async with TinyClient.to(servers[0].port) as client:
            await client.log_in("anna")
            pids = _server_pids(wrapper)
            assert len(pids) == 3
            wrapper.signal(signal.SIGKILL)
            await wrapper.ended()
            await eventually(
                lambda: [start_time(pid) for pid in pids] == [None] * 3, "no server is left"
            )
            assert await client.hear() == ""


async def test_on_its_return_a_wrapper_gives_back_what_was_claimed(tmp_path: Path) -> None:
    volumes = enroll(tmp_path, "anna", "bert")
    chosen = settings(tmp_path, pool_size=2)
    async with started(chosen) as wrapper:
        servers = await wrapper.ready(2)
        async with TinyClient.to(servers[0].port) as client:
            await client.log_in("anna")
            assert await client.ask("NOTE kept") == "NOTED"
            wrapper.signal(signal.SIGKILL)
            await wrapper.ended()
    left = {str(each.uid): each.holder for each in volumes.list()}
    assert left == {"anna": left["anna"], "bert": None}
    async with started(chosen) as wrapper:
        servers = await wrapper.ready(2)
        assert wrapper.log("claims_given_back")[0]["count"] == 1
        assert [each.holder for each in volumes.list()] == [None, None]
        assert (await wrapper.state()).epoch == 2
        async with TinyClient.to(servers[0].port) as client:
            assert (await client.log_in("anna"))[1] == 2
            assert await client.notes() == ["kept"]


async def test_another_wrapper_recovers_a_dead_ones_claim_when_the_user_comes_there(
    tmp_path: Path,
) -> None:
    enroll(tmp_path, "anna")
    first = settings(tmp_path, pool_size=1)
    second = msgspec.structs.replace(first, id=WrapperId("w2"), state_dir=tmp_path / "state2")
    async with started(first) as one, started(second) as two:
        (server,) = await one.ready()
        (other,) = await two.ready()
        async with TinyClient.to(server.port) as client:
            await client.log_in("anna")
            async with TinyClient.to(other.port) as elsewhere:
                assert await elsewhere.ask("USER anna") == "REFUSED claimed_elsewhere"
            (other,) = await two.ready()
            one.signal(signal.SIGKILL)
            async with TinyClient.to(other.port) as elsewhere:
                assert await elsewhere.log_in("anna") == (other.boot_id, 2)


async def test_a_stopped_wrapper_keeps_its_claims(tmp_path: Path) -> None:
    """SIGSTOP is not death: its server may still write, so nobody else may."""
    enroll(tmp_path, "anna")
    first = settings(tmp_path, pool_size=1)
    second = msgspec.structs.replace(first, id=WrapperId("w2"), state_dir=tmp_path / "state2")
    async with started(first) as one, started(second) as two:
        (server,) = await one.ready()
        (other,) = await two.ready()
        async with TinyClient.to(server.port) as client:
            await client.log_in("anna")
            one.signal(signal.SIGSTOP)
            async with TinyClient.to(other.port) as elsewhere:
                assert await elsewhere.ask("USER anna") == "REFUSED claimed_elsewhere"
            one.signal(signal.SIGCONT)
            assert await client.ask("NOTE still mine") == "NOTED"


async def test_sigterm_lets_a_session_end_and_starts_nothing_new(tmp_path: Path) -> None:
    enroll(tmp_path, "anna")
    async with started(settings(tmp_path, pool_size=2)) as wrapper:
        servers = await wrapper.ready(2)
        async with TinyClient.to(servers[0].port) as client:
            await client.log_in("anna")
            wrapper.signal(signal.SIGTERM)

            async def only_the_session_is_left() -> bool:
                state = await wrapper.state()
                return state.draining and [each.state for each in state.instances] == [State.ACTIVE]

            await eventually(only_the_session_is_left, "unused servers have ended")
            assert (await wrapper.get("/readyz")) == (503, "draining\n")
            assert await client.ask("NOTE in peace") == "NOTED"
            assert await client.ask("BYE") == "GOODBYE"
        assert await wrapper.ended() == 0
    assert (tmp_path / "volumes/anna/claim").read_text() == "\n"
    assert (tmp_path / "volumes/anna/data/notes").read_text() == "in peace\n"


async def test_a_session_that_outlasts_the_drain_is_ended_as_logout_does(tmp_path: Path) -> None:
    enroll(tmp_path, "anna")
    async with started(settings(tmp_path, pool_size=1, drain=0.3)) as wrapper:
        (server,) = await wrapper.ready()
        async with TinyClient.to(server.port) as client:
            await client.log_in("anna")
            wrapper.signal(signal.SIGTERM)
            assert await client.hear() == ""
        assert await wrapper.ended() == 0
        stopped = [each for each in wrapper.log("server_changed") if each["state"] == "STOPPED"]
        assert stopped[-1]["reason"] == "drained"
        assert wrapper.log("server_gone")[-1]["how"] == "exit status 0"  # it was asked, not killed
    assert (tmp_path / "volumes/anna/claim").read_text() == "\n"


async def test_two_wrappers_cannot_share_a_state_directory(tmp_path: Path) -> None:
    chosen = settings(tmp_path, pool_size=0)
    async with started(chosen):
        assert await _fails(chosen, tmp_path / "again.log") == 1
    assert "another wrapper uses" in (tmp_path / "again.log").read_text()


async def test_an_unusable_app_toml_ends_the_wrapper_for_good(tmp_path: Path) -> None:
    (tmp_path / "app.toml").write_text('name = "x"\ncommand = ["{pyton}"]\n')
    chosen = settings(tmp_path, app=tmp_path / "app.toml")
    assert await _fails(chosen, tmp_path / "log") == 78
    assert "unknown placeholders ['pyton']" in (tmp_path / "log").read_text()


async def _fails(chosen: Settings, log_file: Path) -> int:
    """The exit status of a wrapper that cannot start."""
    child = await asyncio.to_thread(start, chosen, log_file)
    return await WrapperProcess(child, log_file).ended()
