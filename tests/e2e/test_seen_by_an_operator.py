"""What an operator and a user are told while a part is away, hangs, or has left."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from smartgrid_client.errors import AwayError
from tests.support.platform import RunningPlatform, command, platform
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(600)
_OFF = ("--attestation", "off")
"""What servers are plays no part here, and a platform starts sooner."""
_AWAY = 7
"""Exit status of `standby status`."""


def _status(running: RunningPlatform) -> tuple[int, dict[str, Any], str]:
    done = command("status", "--state-dir", running.state_dir, "--json", check=False)
    return done.returncode, json.loads(done.stdout), done.stderr


def _log(running: RunningPlatform, part: str) -> list[dict[str, Any]]:
    lines = (running.state_dir / "logs" / f"{part}.log").read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


async def test_while_the_routing_manager_hangs_everyone_is_told_so_and_what_still_works(
    tmp_path: Path,
) -> None:
    quick = {"LB_LUA_ROUTE_QUERY": "2"}
    with platform(tmp_path, "--pool-size", "2", *_OFF, environ=quick) as running:
        anna, bert = running.enroll_many(["anna", "bert"])
        async with running.client(anna) as client:
            login = await client.login(anna.key)
            async with running.client(anna) as known:  # HAProxy remembers where the session is
                await known.login(anna.key)
            manager = running.endpoints["pids"]["routing_manager"]
            os.kill(manager, signal.SIGSTOP)
            try:
                code, status, said = _status(running)
                assert code == _AWAY
                (away,) = status["away"]
                assert away.startswith(f"routing-manager (pid {manager}, and runs for ")
                assert away.endswith("does not answer: no answer in time")
                assert said == f"standby: {away}\n"
                assert status["seen_by"] == "wrappers"
                assert [each["user"] for each in status["instances"] if each["user"]] == ["anna"]
                assert {each["name"] for each in status["parts"] if each["pid"]} == {
                    "routing-manager",
                    "haproxy",
                    "w1",
                }
                async with running.client(bert) as other:
                    with pytest.raises(AwayError, match="Routing Manager is away"):
                        await other.login(bert.key)
                async with running.client(anna) as again:
                    assert (await again.login(anna.key)).boot_id == login.boot_id
            finally:
                os.kill(manager, signal.SIGCONT)

        def logged() -> bool:
            return any(
                each["event"] == "connection"
                and (each["uid"], each["level"]) == ("bert", "ERROR")
                and each["refusal"] == "routing_manager_away"
                for each in _log(running, "haproxy")
            )

        await eventually(logged, "HAProxy's log has it as an ERROR")
        await eventually(lambda: _status(running)[0] == 0, "it answers again")
        (trouble,) = [each for each in _log(running, "w1") if each["event"] == "report_failed"][:1]
        assert (trouble["level"], trouble["wrapper_id"]) == ("WARNING", "w1")
        assert "Error(" not in json.dumps(trouble), "words, not a Python expression"


async def test_a_part_that_was_killed_is_known_with_its_end_after_it_has_come_back(
    tmp_path: Path,
) -> None:
    with platform(tmp_path, "--pool-size", "1", *_OFF) as running:
        before = running.endpoints["pids"]["routing_manager"]
        os.kill(before, signal.SIGKILL)

        def back() -> list[dict[str, Any]]:
            code, status, _ = _status(running)
            manager = [each for each in status["parts"] if each["name"] == "routing-manager"]
            return manager if code == 0 and manager[0]["ends"] else []

        (manager,) = await eventually(back, "it was started again", deadline=60)
        assert manager["pid"] not in {None, before}
        assert (manager["ends"], manager["last_exit"]) == (1, "killed by SIGKILL")
        shown = command("status", "--state-dir", running.state_dir, "-v").stdout
        assert "killed by SIGKILL" in shown


async def test_a_drained_wrapper_has_left_and_is_no_trouble(tmp_path: Path) -> None:
    with platform(tmp_path, "--pool-size", "1", "--wrappers", "2", *_OFF) as running:
        command("drain", "w2", "--state-dir", running.state_dir)
        await eventually(
            lambda: "w2" not in running.endpoints["pids"]["wrappers"], "it has left", deadline=60
        )
        code, status, _ = _status(running)
        assert (code, status["away"], status["degraded"]) == (0, [], [])
        (left,) = [each for each in status["parts"] if each["name"] == "w2"]
        assert (left["wanted"], left["pid"]) == (False, None)
        events = {each["event"]: each["level"] for each in _log(running, "routing-manager")}
        assert events["wrapper_left"] == "INFO"
        assert "wrapper_lost" not in events
