"""Parts that end, under a supervisor. The parts are small programs that end in the way the test is about."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from standby_cli import supervisor
from standby_cli.errors import StartError
from standby_cli.layout import Layout
from standby_cli.parts import Part
from standby_cli.supervisor import Supervisor
from tests.support.waiting import eventually

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


class EndingPart:
    """Ends with `status` in its first `times` lives, then stays."""

    def __init__(self, directory: Path, status: int, times: int) -> None:
        self._lives = directory / "lives"
        program = ENDING.format(lives=str(self._lives), status=status, times=times)
        (directory / "ending_part.py").write_text(program)
        environ = {**os.environ, "PYTHONPATH": str(directory)}
        self.part = Part("ending", "ending_part", environ)

    @property
    def lives(self) -> int:
        return len(self._lives.read_text()) if self._lives.exists() else 0


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
    monkeypatch.setattr(supervisor, "LONGEST_PAUSE", 0.05)


@pytest.mark.parametrize("status", [0, 1, 78])
async def test_a_part_of_a_running_platform_is_started_again_however_it_ends(
    tmp_path: Path, status: int
) -> None:
    ending = EndingPart(tmp_path, status, times=5)
    async with _supervised(ending.part, tmp_path) as made:
        made.persist()
        await eventually(lambda: ending.lives == 6, "it runs at last", deadline=60)
        assert made.pid("ending")


async def test_a_part_that_was_ordered_to_leave_stays_away(tmp_path: Path) -> None:
    ending = EndingPart(tmp_path, status=3, times=1)
    async with _supervised(ending.part, tmp_path) as made:
        made.persist()
        await eventually(lambda: ending.lives == 1, "it has started", deadline=60)
        await eventually(lambda: not made.pid("ending"), "it has left", deadline=60)
        await asyncio.wait_for(made.gave_up(), 60)  # nothing is kept running any more
        assert ending.lives == 1


@pytest.mark.parametrize(
    ("status", "lives", "why"),
    [(78, 1, "cannot run with its settings"), (0, 3, "ends as soon as it starts")],
)
async def test_a_platform_that_is_starting_gives_up_soon(
    tmp_path: Path, status: int, lives: int, why: str
) -> None:
    ending = EndingPart(tmp_path, status, times=100)
    async with _supervised(ending.part, tmp_path) as made:
        with pytest.raises(StartError, match=f"ending {why}:\n    it ends"):
            await asyncio.wait_for(made.gave_up(), 60)
    assert ending.lives == lives
