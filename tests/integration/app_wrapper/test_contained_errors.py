"""An error in what the wrapper decides or does about one server costs that server; the others serve, and are replaced.

The errors come from records in disorder, as a defect of ours would leave them.
"""

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app_wrapper.metrics import Contained
from app_wrapper.process import Seat
from app_wrapper.wrapper import Wrapper, running
from standby.ids import BootId
from standby.states import State
from tests.support.waiting import eventually
from tests.support.wrapper import TinyClient, enroll, processes, ready, settings

BROKEN: Any = object()


def _errors(caplog: pytest.LogCaptureFixture) -> set[str]:
    return {
        vars(each)["fields"]["kind"]
        for each in caplog.records
        if each.getMessage() == "error_contained"
    }


def _seat(wrapper: Wrapper, boot_id: BootId) -> Seat:
    seat = wrapper.supervisor.pool.roster.seat_of(boot_id)
    assert seat is not None
    return seat


async def _serves(wrapper: Wrapper, uid: str, port: int) -> None:
    """The server has a session from start to end, and another one takes its place."""
    before = {each.boot_id for each in processes(wrapper)}
    async with TinyClient.to(port) as client:
        await client.log_in(uid)
        assert await client.ask("BYE") == "GOODBYE"
    await eventually(
        lambda: [each for each in processes(wrapper, State.READY) if each.boot_id not in before],
        "a fresh server",
    )


async def test_a_servers_end_that_cannot_be_taken_in_costs_its_slot(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    enroll(tmp_path, "anna")
    async with running(settings(tmp_path, pool_size=2)) as wrapper:
        broken, whole = await ready(wrapper, 2)
        seat = _seat(wrapper, broken.boot_id)
        seat.process = replace(broken, up_at=BROKEN)
        (pid,) = [pid for pid in _pids(tmp_path) if _boot_id(pid) == broken.boot_id]
        os.kill(pid, signal.SIGKILL)
        await eventually(lambda: Contained.PROCESS in _errors(caplog), "the error")
        await eventually(
            lambda: (
                {each.boot_id for each in processes(wrapper, State.READY)}
                - {broken.boot_id, whole.boot_id}
            ),
            "the broken one is replaced",
        )
        await _serves(wrapper, "anna", whole.port or 0)


async def test_what_cannot_be_told_does_not_keep_a_user_from_their_data(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    enroll(tmp_path, "anna")
    async with running(settings(tmp_path, pool_size=1)) as wrapper:
        (server,) = await ready(wrapper)

        def fail(_boot_id: BootId | None) -> None:
            raise ValueError("broken")

        wrapper.supervisor.on_change = fail
        await _serves(wrapper, "anna", server.port or 0)
        wrapper.supervisor.on_change = lambda _boot_id: None
    assert Contained.ACTION in _errors(caplog)


def _pids(directory: Path) -> list[int]:
    slots = directory / "state" / "slots"
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and (entry / "cwd").readlink().parent == slots:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def _boot_id(pid: int) -> str:
    return Path(f"/proc/{pid}/cwd").readlink().name.rpartition("-")[2]
