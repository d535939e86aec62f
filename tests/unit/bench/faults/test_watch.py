"""The watch sees real processes with a user's database open, and says so only when two have it at the same time."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench import processes
from bench.faults.history import Writer
from bench.faults.watch import Watch
from standby_cli.layout import Layout
from tests.support.waiting import eventually_sync
from tests.unit.bench.faults.records import BOOT_IDS

_OPENS = (
    "import sys; file = open(sys.argv[1], sys.argv[2]); print('open', flush=True); sys.stdin.read()"
)


@contextmanager
def _server(layout: Layout, slot: int, uid: str, mode: str = "r+") -> Iterator[int]:
    """A process in a server's place that has the user's database open."""
    place = layout.wrapper("w1") / "slots" / f"{slot}-{BOOT_IDS[slot]}"
    file = layout.volumes / uid / "data" / "smartgrid.db"
    for directory in (place, file.parent):
        directory.mkdir(parents=True, exist_ok=True)
    file.touch()
    process = subprocess.Popen(
        [sys.executable, "-c", _OPENS, str(file), mode],
        cwd=place,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid


def test_processes_are_known_by_their_place_and_their_users_by_their_open_files(
    tmp_path: Path,
) -> None:
    layout = Layout(tmp_path)
    with _server(layout, 1, "user-1"), _server(layout, 2, "user-2", "r"):
        first, second = processes.servers(layout)
        assert (first.wrapper, first.boot_id) == ("w1", BOOT_IDS[1])
        assert processes.writes(first.process, layout.volumes) == "user-1"
        assert processes.writes(second.process, layout.volumes) is None
    assert not list(processes.servers(layout))
    assert processes.writes(first.process, layout.volumes) is None


def test_two_processes_with_one_users_database_are_found(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    with ExitStack() as stack:
        writer = stack.enter_context(Writer(tmp_path / "writers.jsonl"))
        watch = stack.enter_context(Watch(layout, writer))
        pids = {stack.enter_context(_server(layout, slot, "user-1")) for slot in (1, 2)}
        eventually_sync(lambda: watch.found, "the two were seen")
        (two,) = watch.found
        assert two.uid == "user-1"
        assert set(two.pids) == pids
    assert BOOT_IDS[1].encode() in (tmp_path / "writers.jsonl").read_bytes()


def test_processes_of_two_users_or_one_after_the_other_are_fine(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    with Writer(tmp_path / "writers.jsonl") as writer, Watch(layout, writer) as watch:
        with _server(layout, 1, "user-1"), _server(layout, 2, "user-2"):
            eventually_sync(lambda: len(watch.opens) == 2, "both were seen")
        with _server(layout, 3, "user-1"):
            eventually_sync(lambda: len(watch.opens) == 3, "the next one was seen")
    assert not watch.found
