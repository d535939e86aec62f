"""What an operator can learn from a wrapper's log and metrics alone, and what an alert can use."""

import signal
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from standby.identity import Role
from standby.messages import PoolSize
from tests.support.certificates import Certificates
from tests.support.waiting import eventually
from tests.support.wrapper import BAD, TinyClient, enroll, settings, with_tls
from tests.support.wrapper_process import WrapperProcess, started


def _records(wrapper: WrapperProcess) -> list[dict[str, Any]]:
    lines = wrapper.log_file.read_text().split("\n")[:-1]
    return [msgspec.json.decode(line) for line in lines]


def _loud(wrapper: WrapperProcess) -> list[tuple[str, str]]:
    """(level, event) of what should catch an eye; a wrapper without TLS files, a channel or copies says so."""
    found = [(each["level"], each["event"]) for each in _records(wrapper)]
    expected = {
        "no_control_listener",
        "not_attested",
        "logins_not_proved",
        "servers_get_no_uids",
        "volumes_not_copied",
    }
    return [each for each in found if each[0] != "INFO" and each[1] not in expected]


async def _metrics(wrapper: WrapperProcess) -> list[str]:
    status, text = await wrapper.get("/metrics")
    assert status == 200
    return text.splitlines()


async def test_every_line_says_when_in_utc_and_which_wrapper_and_an_end_is_no_trouble(
    tmp_path: Path,
) -> None:
    enroll(tmp_path, "anna")
    async with started(settings(tmp_path, pool_size=1)) as wrapper:
        (server,) = await wrapper.ready()
        async with TinyClient.to(server.port) as client:
            await client.log_in("anna")
            await client.ask("BYE")
        await eventually(lambda: wrapper.log("server_gone"), "the used server is gone")
        wrapper.signal(signal.SIGTERM)
        assert await wrapper.ended() == 0
        records = _records(wrapper)
        assert {each["wrapper_id"] for each in records} == {"w1"}
        assert {datetime.fromisoformat(each["time"]).utcoffset() for each in records} == {
            timedelta(0)
        }
        changed = wrapper.log("server_changed")
        assert [each for each in changed if each["state"] == each["before"]] == []
        (logged_in,) = [each for each in changed if each["state"] == "ACTIVE"]
        (given,) = wrapper.log("volume_given")
        assert (logged_in["uid"], given["uid"], given["generation"]) == ("anna", "anna", 1)
        assert _loud(wrapper) == []


async def test_a_smaller_pool_is_no_trouble(tmp_path: Path, certificates: Certificates) -> None:
    identity = with_tls(certificates.part(Role.WRAPPER, "w1"))
    operator = certificates.part(Role.OPERATOR, "olga")
    async with started(settings(tmp_path, pool_size=3, capacity=3, **identity)) as wrapper:
        await wrapper.ready(3)
        status, _ = await wrapper.order("PUT", "/v1/pool", operator, PoolSize(size=1))
        assert status == 200
        await eventually(lambda: len(wrapper.log("server_gone")) == 2, "two have ended")
        ended = [each for each in wrapper.log("server_changed") if each["state"] == "STOPPED"]
        assert {each["reason"] for each in ended} == {"resized"}
        lines = await _metrics(wrapper)
        assert 'standby_app_wrapper_stops_total{reason="resized"} 2.0' in lines
        assert 'standby_app_wrapper_stops_total{reason="killed"} 0.0' in lines
        assert _loud(wrapper) == []


async def test_a_server_that_crashes_under_its_user_is_an_error_and_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enroll(tmp_path, "anna")
    monkeypatch.setenv("BAD_SERVER", "crash_on_login_server")
    async with started(settings(tmp_path, app=BAD, pool_size=1)) as wrapper:
        before = await _metrics(wrapper)
        assert 'standby_app_wrapper_logins_total{outcome="lost"} 0.0' in before
        (server,) = await wrapper.ready()
        async with TinyClient.to(server.port) as client:
            assert (await client.ask("USER anna")).startswith("VOLUME ")
        await eventually(lambda: wrapper.log("server_gone"), "the server is gone")
        (end,) = [each for each in wrapper.log("server_changed") if each["level"] == "ERROR"]
        assert (end["uid"], end["before"], end["reason"]) == ("anna", "ACTIVE", "crashed")
        assert end["why"] == "killed by SIGKILL"
        (gone,) = wrapper.log("server_gone")
        assert (gone["uid"], gone["reason"]) == ("anna", "crashed")
        lines = await _metrics(wrapper)
        assert 'standby_app_wrapper_logins_total{outcome="lost"} 1.0' in lines
        assert 'standby_app_wrapper_logins_total{outcome="served"} 0.0' in lines
        assert 'standby_app_wrapper_claims_total{outcome="granted"} 1.0' in lines


async def test_what_a_server_logs_is_its_word_and_cannot_pass_for_its_wrapper_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enroll(tmp_path, "anna")
    monkeypatch.setenv("BAD_SERVER", "forging_server")
    async with started(settings(tmp_path, app=BAD, pool_size=1)) as wrapper:
        (server,) = await wrapper.ready()
        output = await eventually(
            lambda: found if len(found := wrapper.log("server_output")) == 4 else None,
            "its four lines are logged",
        )
        assert output is not None
        forged, *others = output
        assert forged["said"] == {
            "level": "ERROR",
            "event": "server_changed",
            "wrapper_id": "w9",
            "uid": "mallory",
        }
        assert (forged["wrapper_id"], forged["boot_id"]) == ("w1", server.boot_id)
        assert (forged["level"], forged["uid"]) == ("WARNING", None)
        assert {each["level"] for each in others} == {"INFO"}
        assert all(len(msgspec.json.encode(each)) < 1000 for each in others)
        assert {each["boot_id"] for each in wrapper.log("server_changed")} == {server.boot_id}
        lines = await _metrics(wrapper)
        assert 'standby_app_wrapper_server_records_total{level="ERROR"} 1.0' in lines
        async with TinyClient.to(server.port) as client:
            assert (await client.ask("USER anna")).startswith("VOLUME ")
            monkeypatch.undo()
