"""Parts that end, leave and are replaced, under a supervisor. They are small programs, named for what they do."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from standby.processes import start_time
from standby_cli import keeper
from standby_cli.errors import CommandError, ConfigurationError, StartError
from standby_cli.layout import Layout
from standby_cli.parts import Part
from standby_cli.supervisor import Supervisor
from tests.support.waiting import eventually

DEADLINE = 60.0
ENDING = """
import sys, time
from pathlib import Path
lives = Path({lives!r})
with lives.open("a") as file:
    file.write("x")
if len(lives.read_text()) <= {times}:
    print("it ends", file=sys.stderr)
    sys.exit({status})
time.sleep(600)
"""
SERVING = """
import time
from standby import service
service.serves()
time.sleep(600)
"""
NEVER_SERVING = """
import sys
print("no port for me", file=sys.stderr)
sys.exit(1)
"""


class EndingPart:
    """Ends with `status` in its first `times` lives, then stays."""

    def __init__(self, directory: Path, status: int, times: int) -> None:
        self._lives = directory / "lives"
        self.part = _part(
            directory, ENDING.format(lives=str(self._lives), status=status, times=times)
        )

    @property
    def lives(self) -> int:
        return len(self._lives.read_text()) if self._lives.exists() else 0


def _part(directory: Path, program: str, name: str = "part_of_a_test") -> Part:
    (directory / f"{name}.py").write_text(program)
    environ = {**os.environ, "PYTHONPATH": f"{directory}:{os.environ.get('PYTHONPATH', '')}"}
    return Part("part", name, environ, signal.SIGTERM)


@contextlib.asynccontextmanager
async def _supervised(part: Part, directory: Path) -> AsyncIterator[Supervisor]:
    layout = Layout(directory / "state")
    layout.make()
    made = Supervisor([part], layout)
    made.start()
    try:
        yield made
    finally:
        await made.stop()


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "LONGEST_PAUSE", 0.05)


@pytest.mark.parametrize("status", [0, 1, 78])
async def test_a_part_of_a_running_platform_is_started_again_however_it_ends(
    tmp_path: Path, status: int
) -> None:
    ending = EndingPart(tmp_path, status, times=5)
    async with _supervised(ending.part, tmp_path) as made:
        made.persist()
        await eventually(lambda: ending.lives == 6, "it runs at last", deadline=DEADLINE)
        assert made.pid("part")


async def test_a_part_that_was_ordered_to_leave_stays_away_until_it_is_wanted_again(
    tmp_path: Path,
) -> None:
    ending = EndingPart(tmp_path, status=3, times=1)
    async with _supervised(ending.part, tmp_path) as made:
        made.persist()
        kept = made.keeper("part")
        await asyncio.wait_for(kept.until_left(), DEADLINE)
        assert (ending.lives, kept.pid, kept.wanted) == (1, 0, False)
        kept.come_back(ending.part)
        await eventually(lambda: ending.lives == 2, "it is back", deadline=DEADLINE)


async def test_a_part_that_was_asked_to_leave_stays_away_however_it_ends(tmp_path: Path) -> None:
    """A drained wrapper may be killed before it has ended by itself."""
    ending = EndingPart(tmp_path, status=0, times=0)
    async with _supervised(ending.part, tmp_path) as made:
        made.persist()
        await eventually(lambda: ending.lives == 1, "it runs", deadline=DEADLINE)
        kept = made.keeper("part")
        kept.leave()
        os.kill(kept.pid, signal.SIGKILL)
        await asyncio.wait_for(kept.until_left(), DEADLINE)
        assert (ending.lives, kept.pid) == (1, 0)


@pytest.mark.parametrize(
    ("status", "lives", "why", "kind"),
    [
        (78, 1, "cannot work with its settings: it ends", ConfigurationError),
        (0, 3, "ends as soon as it starts:\n    it ends", StartError),
    ],
)
async def test_a_platform_that_is_starting_gives_up_soon(
    tmp_path: Path, status: int, lives: int, why: str, kind: type[CommandError]
) -> None:
    ending = EndingPart(tmp_path, status, times=100)
    async with _supervised(ending.part, tmp_path) as made:
        with pytest.raises(kind, match=f"part {why}"):
            await asyncio.wait_for(made.gave_up(), DEADLINE)
    assert ending.lives == lives


async def test_a_process_is_replaced_once_the_new_one_serves(tmp_path: Path) -> None:
    part = _part(tmp_path, SERVING)
    async with _supervised(part, tmp_path) as made:
        kept = made.keeper("part")
        await eventually(lambda: kept.pid, "it runs", deadline=DEADLINE)
        first = kept.pid
        await kept.replace(part)
        second = kept.pid
        assert second != first
        await eventually(lambda: not start_time(first), "the old one has ended", deadline=DEADLINE)
        os.kill(second, signal.SIGKILL)
        await eventually(
            lambda: kept.pid not in {first, second}, "the new one is kept", deadline=DEADLINE
        )


async def test_a_new_process_that_does_not_serve_costs_nothing(tmp_path: Path) -> None:
    part = _part(tmp_path, SERVING)
    async with _supervised(part, tmp_path) as made:
        kept = made.keeper("part")
        await eventually(lambda: kept.pid, "it runs", deadline=DEADLINE)
        before = kept.pid
        with pytest.raises(StartError, match="the old one goes on:\n    no port for me"):
            await kept.replace(_part(tmp_path, NEVER_SERVING, "bad_part_of_a_test"))
        assert kept.pid == before
        assert start_time(before)
        assert kept.part is part


async def test_a_part_that_keeps_ending_is_replaced_too(tmp_path: Path) -> None:
    ending = EndingPart(tmp_path, status=1, times=1_000)
    async with _supervised(ending.part, tmp_path) as made:
        made.persist()
        kept = made.keeper("part")
        await eventually(lambda: ending.lives, "it has ended", deadline=DEADLINE)
        await kept.replace(_part(tmp_path, SERVING, "good_part_of_a_test"))
        pid = kept.pid
        assert kept.part.module == "good_part_of_a_test"
        assert start_time(pid)
