"""A part's output in files of bounded size: real processes, and a real disk that is full."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import pytest

from standby_cli.layout import Layout
from standby_cli.part_log import CHUNK, PartLog
from standby_cli.parts import Part
from standby_cli.settings import Settings
from standby_cli.supervisor import Supervisor
from tests.support.waiting import eventually

DEADLINE: Final = 60.0
_LINES: Final = 20_000
_PRINTS: Final = f"""
import signal, sys
for number in range({_LINES}):
    print(f"line {{number:06}}", "x" * 50, file=sys.stderr if number % 2 else sys.stdout, flush=True)
signal.pause()
"""
_FLOODS: Final = """
import os, sys
from pathlib import Path
for number in range(10 ** 9):
    os.write(2, b"x" * 999 + b"\\n")
    if number % 100 == 0:
        Path(os.environ["PROGRESS"]).write_text(str(number))
"""


def _part(directory: Path, program: str, **environ: str) -> Part:
    (directory / "printing_part.py").write_text(program)
    path = f"{directory}:{os.environ.get('PYTHONPATH', '')}"
    return Part(
        "part", "printing_part", {**os.environ, "PYTHONPATH": path, **environ}, signal.SIGTERM
    )


@contextlib.asynccontextmanager
async def _supervised(part: Part, layout: Layout, limits: Settings) -> AsyncIterator[Supervisor]:
    layout.make()
    made = Supervisor([part], layout, limits)
    made.start()
    try:
        yield made
    finally:
        await made.stop()


def _logs_in(directory: Path) -> list[Path]:
    """Oldest first."""
    kept = sorted(directory.glob("part.log.*"), key=lambda each: -int(each.suffix[1:]))
    return [*kept, directory / "part.log"]


async def test_nothing_of_a_running_part_is_lost_however_often_its_log_is_rotated(
    tmp_path: Path,
) -> None:
    layout = Layout(tmp_path / "state")
    limits = Settings(log_size=64 * 1024, log_files=1000)
    last = f"line {_LINES - 1:06}"
    async with _supervised(_part(tmp_path, _PRINTS), layout, limits) as made:
        tail = await eventually(
            lambda: found if last in (found := made.keeper("part").tail()) else "",
            "it has printed all",
            deadline=DEADLINE,
        )
        assert len(tail.splitlines()) == 3
    logs = _logs_in(layout.logs)
    assert len(logs) > _LINES * 60 // limits.log_size - 1
    assert all(each.stat().st_size <= limits.log_size for each in logs)
    lines = [line for each in logs for line in each.read_text().splitlines()]
    assert [line[:11] for line in lines] == [f"line {number:06}" for number in range(_LINES)]


async def test_lines_stay_whole_beside_another_process_and_when_a_file_is_full(
    tmp_path: Path,
) -> None:
    output = PartLog("part", tmp_path / "part.log", Settings(log_size=4096, log_files=9))
    with output.pipe() as old, output.pipe() as new:
        os.write(old, b"a" * 3000 + b"\n" + b"b" * 1000)
        output.recent()  # what has come is read
        os.write(new, b"c" * 100 + b"\n")
        os.write(old, b"b" * 1000 + b"\n" + b"without an end")
        output.recent()
        assert not (tmp_path / "part.log").read_text().endswith("without an end")
    output.close()
    lines = [line for each in _logs_in(tmp_path) for line in each.read_text().splitlines()]
    assert sorted(lines) == ["a" * 3000, "b" * 2000, "c" * 100, "without an end"]


async def test_a_line_that_never_ends_is_written(tmp_path: Path) -> None:
    output = PartLog("part", tmp_path / "part.log", Settings(log_files=9))
    with output.pipe() as descriptor:
        for _ in range(5):
            os.write(descriptor, b"x" * CHUNK)
            output.recent()
        assert sum(each.stat().st_size for each in _logs_in(tmp_path)) >= 4 * CHUNK
    output.close()
    assert sum(each.stat().st_size for each in _logs_in(tmp_path)) == 5 * CHUNK


async def test_what_a_part_prints_just_before_it_ends_is_in_its_log(tmp_path: Path) -> None:
    output = PartLog("part", tmp_path / "part.log", Settings())
    with output.pipe() as descriptor:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "print('the last word')", stdout=descriptor
        )
    assert await process.wait() == 0
    assert output.recent() == ["the last word"]
    output.close()
    assert (tmp_path / "part.log").read_text() == "the last word\n"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a quarter of a mebibyte."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a small disk")
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", place],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr!r}")
    yield place
    subprocess.run(["umount", place], check=True)


async def test_a_full_disk_neither_stops_a_part_nor_ends_the_supervisor(
    small_disk: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    layout, progress = Layout(small_disk / "state"), tmp_path / "progress"

    def printed() -> int:
        return int(progress.read_text() or 0) if progress.exists() else 0

    part = _part(tmp_path, _FLOODS, PROGRESS=str(progress))
    limits = Settings(log_size=1024 * 1024, log_files=1)
    async with _supervised(part, layout, limits) as made:
        await eventually(
            lambda: printed() > 5000, "it goes on after five megabytes", deadline=DEADLINE
        )
        (full,) = [each for each in caplog.records if each.message == "log_not_written"]
        assert full.__dict__["fields"]["text"] == "No space left on device"
        assert made.pid("part")
        layout.log("part").write_bytes(b"")  # an operator makes room
        await eventually(
            lambda: [each for each in caplog.records if each.message == "log_lines_lost"],
            "lines are written again, and the lost ones told",
            deadline=DEADLINE,
        )
