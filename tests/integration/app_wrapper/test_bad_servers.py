"""Servers that misbehave: each costs its own session at most, and its slot gets a good chance again."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from app_wrapper.events import Said
from app_wrapper.sidecar import EVENT_RATE, EVENTS_AT_ONCE
from app_wrapper.supervisor import Supervisor
from app_wrapper.wrapper import Wrapper, running
from standby import deadlines
from standby.ids import BootId, Uid
from standby.processes import start_time
from standby.states import State, StopReason
from tests.support.waiting import eventually
from tests.support.wrapper import BAD, TinyClient, enroll, processes, ready, settings

Start = Callable[..., AbstractAsyncContextManager[Wrapper]]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Starts a wrapper of one bad server; users anna, bert and mallory are enrolled."""
    enroll(tmp_path, "anna", "bert", "mallory")

    def begin(name: str, **changes: Any) -> AbstractAsyncContextManager[Wrapper]:
        monkeypatch.setenv("BAD_SERVER", name)
        chosen = {"app": BAD, "pool_size": 1, "server_stop": 0.3, **changes}
        return running(settings(tmp_path, **chosen))

    return begin


def watch(wrapper: Wrapper) -> list[StopReason]:
    """The reasons of stops from now on, in order."""
    reasons: list[StopReason] = []
    seen: set[str] = set()

    def note(_boot_id: object) -> None:
        for each in processes(wrapper, State.STOPPED):
            if each.boot_id not in seen and each.reason is not None:
                seen.add(each.boot_id)
                reasons.append(each.reason)

    wrapper.supervisor.on_change = note
    return reasons


async def test_a_never_ready_server_is_killed_and_started_again_less_and_less_often(
    start: Start,
) -> None:
    async with start("never_ready_server", server_start=0.1) as wrapper:
        reasons = watch(wrapper)
        await eventually(lambda: len(reasons) >= 3, "three tries were given up")
        assert set(reasons) == {StopReason.START_TIMEOUT}
        assert "not ready within 0.1 s" in (wrapper.supervisor.pool.degraded() or "")


async def test_a_crashing_server_is_seen_as_degraded_and_recovers_by_itself(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with start("crashing_server") as wrapper:
        degraded = await eventually(wrapper.supervisor.pool.degraded, "the failure can be seen")
        assert "exit status 3" in (degraded or "")
        monkeypatch.setenv("BAD_SERVER", "stuck_on_stop_server")  # somebody repaired it
        await ready(wrapper)
        assert wrapper.supervisor.pool.degraded() is None


async def test_a_program_that_does_not_exist_is_named(tmp_path: Path) -> None:
    app = tmp_path / "app.toml"
    app.write_text('name = "none"\ncommand = ["/nowhere/at/all"]\n')
    async with running(settings(tmp_path, app=app, pool_size=1)) as wrapper:
        text = await eventually(wrapper.supervisor.pool.degraded, "the failure can be seen")
    assert "until this is repaired" in (text or "")
    assert "/nowhere/at/all" in (text or "")


async def test_a_server_that_calls_its_configuration_wrong_is_not_tried_in_every_slot(
    start: Start,
) -> None:
    async with start("misconfigured_server", pool_size=5, restart_most=600.0) as wrapper:
        text = await eventually(wrapper.supervisor.pool.degraded, "the failure can be seen")
        assert "until this is repaired" in (text or "")
        assert "exit status 78 (its configuration is wrong)" in (text or "")
        await eventually(lambda: wrapper.supervisor.pool.roster.busy == 0, "all tries have ended")
        tried = [each.boot_id for each in processes(wrapper)]
        assert len(tried) <= wrapper.supervisor.pool.limits.concurrent_starts < 5
        deadline = wrapper.supervisor.pool.next_deadline()
        assert deadline is not None
        assert deadline - asyncio.get_running_loop().time() > 500.0


def _has(reasons: list[StopReason], count: int) -> bool:
    return len(reasons) == count


async def test_a_server_that_crashes_on_login_gives_the_volume_back(
    start: Start, tmp_path: Path
) -> None:
    async with start("crash_on_login_server") as wrapper:
        reasons = watch(wrapper)
        for generation in (1, 2):
            (server,) = await ready(wrapper)
            async with TinyClient.to(server.port) as client:
                assert (await client.ask("USER anna")).startswith("VOLUME ")
            await eventually(partial(_has, reasons, generation), "it stopped")
            assert (tmp_path / "volumes/anna/generation").read_text() == f"{generation}\n"
        await ready(wrapper)
        assert reasons == [StopReason.CRASHED] * 2
        assert (tmp_path / "volumes/anna/claim").read_text() == "\n"


async def test_a_chatty_server_is_heard_and_blocks_neither_itself_nor_the_others(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    async with start("chatty_server", pool_size=2) as wrapper:
        first, second = await ready(wrapper, 2)
        for server, uid in ((first, "anna"), (second, "bert")):
            async with TinyClient.to(server.port) as client:
                assert (await client.ask(f"USER {uid}")).startswith("VOLUME ")
    logged = [each for each in caplog.records if each.message == "server_output"]
    dropped = [each for each in caplog.records if each.message == "server_output_dropped"]
    assert dropped
    assert len(logged) < 1000


async def test_of_a_server_that_repeats_itself_without_end_little_is_heard(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each event takes some of the wrapper's time; the others are served meanwhile."""
    heard: list[BootId] = []
    said = Supervisor.said

    def counting(supervisor: Supervisor, boot_id: BootId, what: Said) -> None:
        heard.append(boot_id)
        said(supervisor, boot_id, what)

    monkeypatch.setattr(Supervisor, "said", counting)
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with start("insistent_server", pool_size=2) as wrapper:
        first, _ = await ready(wrapper, 2)
        async with TinyClient.to(first.port) as client:
            assert (await client.ask("USER mallory")).startswith("VOLUME ")
            await eventually(
                lambda: heard.count(first.boot_id) > EVENTS_AT_ONCE, "it repeats itself"
            )
            (other,) = await ready(wrapper)
            async with TinyClient.to(other.port) as another:
                assert (await another.ask("USER anna")).startswith("VOLUME ")
            seconds = loop.time() - began
            assert heard.count(first.boot_id) <= EVENTS_AT_ONCE + EVENT_RATE * seconds + 1


async def test_a_server_stuck_on_stop_is_killed_and_its_volume_given_back(
    start: Start, tmp_path: Path
) -> None:
    async with start("stuck_on_stop_server") as wrapper:
        reasons = watch(wrapper)
        (server,) = await ready(wrapper)
        async with TinyClient.to(server.port) as client:
            assert (await client.ask("USER anna")).startswith("VOLUME ")
            wrapper.supervisor.stop()
            assert await client.hear() == ""
        await wrapper.supervisor.until_empty()
        assert reasons == [StopReason.DRAINED]
        assert (tmp_path / "volumes/anna/claim").read_text() == "\n"


@pytest.mark.parametrize("name", ["lying_about_user_server", "ready_again_server"])
async def test_a_lying_server_is_killed_and_never_serves_two_users(
    start: Start, tmp_path: Path, name: str
) -> None:
    async with start(name) as wrapper:
        reasons = watch(wrapper)
        (server,) = await ready(wrapper)
        async with TinyClient.to(server.port) as client:
            assert (await client.ask("USER anna")).startswith("VOLUME ")
            assert await client.hear() == ""
        (fresh,) = await ready(wrapper)
        assert fresh.boot_id != server.boot_id
        assert reasons == [StopReason.KILLED]
    assert (tmp_path / "volumes/mallory/generation").read_text() == "0\n"


async def test_a_server_that_names_an_impossible_user_is_killed(start: Start) -> None:
    async with start("impossible_user_server") as wrapper:
        reasons = watch(wrapper)
        (server,) = await ready(wrapper)
        async with TinyClient.to(server.port) as client:
            assert await client.ask("USER anna") == ""
        # the connection may end before the wrapper has read the line
        await eventually(lambda: _has(reasons, 1), "its end is seen")
        assert reasons == [StopReason.KILLED]
        await ready(wrapper)


async def test_a_server_that_does_not_answer_any_more_is_ended_and_its_user_is_free(
    start: Start, tmp_path: Path
) -> None:
    app = BAD.with_name("app-probed.toml")
    async with start(
        "stuck_on_stop_server", app=app, probe_interval=0.2, probe_answer=0.1
    ) as wrapper:
        reasons = watch(wrapper)
        (server,) = await ready(wrapper)
        async with TinyClient.to(server.port) as client:
            assert (await client.ask("USER anna")).startswith("VOLUME ")
            assert await client.hear() == ""
        await eventually(lambda: _has(reasons, 1), "its end is seen")
        assert reasons == [StopReason.UNRESPONSIVE]
        claim = tmp_path / "volumes/anna/claim"
        await eventually(lambda: claim.read_text() == "\n", "the volume is given back")


async def test_a_server_that_keeps_its_user_for_ever_is_ended_and_its_user_is_free(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its user would be told `server_taken`, or sent to it, until an operator comes."""
    monkeypatch.setattr(deadlines, "SESSION_OVERRUN", 0.2)
    async with start("stuck_on_stop_server", session_max=0.2) as wrapper:
        reasons = watch(wrapper)
        (server,) = await ready(wrapper)
        async with TinyClient.to(server.port) as client:
            assert (await client.ask("USER anna")).startswith("VOLUME ")
        await eventually(lambda: _has(reasons, 1), "its end is seen")
        assert reasons == [StopReason.SESSION_LIMIT]
        claim = tmp_path / "volumes/anna/claim"
        await eventually(lambda: claim.read_text() == "\n", "the volume is given back")


async def test_what_a_server_has_started_ends_with_it(start: Start) -> None:
    async with start("family_server") as wrapper:
        (server,) = await ready(wrapper)
        async with TinyClient.to(server.port) as client:
            assert (await client.ask("USER anna")).startswith("VOLUME ")
            assert await client.hear() == ""  # its child had the connection too
        await ready(wrapper)


async def test_a_denied_user_is_told_why_and_the_server_is_replaced(
    tmp_path: Path,
) -> None:
    enroll(tmp_path, "anna")
    async with running(settings(tmp_path, pool_size=2)) as wrapper:
        first, second = await ready(wrapper, 2)
        async with TinyClient.to(first.port) as client, TinyClient.to(second.port) as other:
            await client.log_in("anna")
            assert await other.ask("USER anna") == "REFUSED claimed_elsewhere"
            fresh = await ready(wrapper)
            async with TinyClient.to(fresh[0].port) as stranger:
                assert await stranger.ask("USER zoe") == "REFUSED unknown_user"
            assert await client.ask("NOTE undisturbed") == "NOTED"


async def test_logging_in_right_after_logout_waits_for_the_old_server_to_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINY_LINGER", "0.15")
    enroll(tmp_path, "anna")
    async with running(settings(tmp_path, pool_size=2, volume_handover=5.0)) as wrapper:
        first, second = await ready(wrapper, 2)
        async with TinyClient.to(first.port) as client:
            await client.log_in("anna")
            await client.ask("BYE")
        async with TinyClient.to(second.port) as client:
            assert await client.log_in(Uid("anna")) == (second.boot_id, 2)


async def test_every_process_of_a_closed_wrapper_is_gone(tmp_path: Path) -> None:
    async with running(settings(tmp_path, pool_size=3)) as wrapper:
        await ready(wrapper, 3)
        handles = [each.handle for each in wrapper.supervisor._sidecars.values()]
    pids = [each.pid for each in handles if each is not None and each.pid is not None]
    assert len(pids) == 3
    assert [start_time(pid) for pid in pids] == [None] * 3
