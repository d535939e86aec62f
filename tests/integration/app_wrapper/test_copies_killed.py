"""Processes that are killed while they copy volumes, or restore them: real ones, at any moment."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from app_wrapper.volumes.copies import Kept
from app_wrapper.volumes.hostpath import HostPathVolumes
from app_wrapper.volumes.hostpath_copies import HostPathCopies
from app_wrapper.volumes.trees import PART
from tests.support.volume_contract import ANNA, holder
from tests.support.waiting import eventually
from tests.support.wrapper import TinyClient, settings
from tests.support.wrapper_process import started

_ROOT: Final = Path(__file__).parents[3]
_PARTS: Final = 4
_COPIES: Final = """
import sys
from pathlib import Path
from app_wrapper.volumes.hostpath import HostPathVolumes
from app_wrapper.volumes.hostpath_copies import HostPathCopies
from standby.ids import Uid
root = Path(sys.argv[1])
copies = HostPathCopies(root / "copies", HostPathVolumes(root / "volumes"))
"""
_KEEPS: Final = f"""{_COPIES}
def between():
    print("part", flush=True)
    sys.stdin.readline()
copies.keep(Uid("anna"), between)
print("done", flush=True)
sys.stdin.readline()
"""
_RESTORES: Final = f"""{_COPIES}
for number in range(1000):
    copies.restore(Uid("anna"), 1 + number % 2, discard=True)
    print("restored", flush=True)
"""


@pytest.fixture
def both(tmp_path: Path) -> tuple[HostPathVolumes, HostPathCopies]:
    volumes = HostPathVolumes(tmp_path / "volumes")
    volumes.create(ANNA)
    return volumes, HostPathCopies(tmp_path / "copies", volumes)


Both = tuple[HostPathVolumes, HostPathCopies]


def _closed(both: Both, content: bytes) -> None:
    """A session that leaves this."""
    volumes, copies = both
    volume = volumes.claim(ANNA, holder())
    (Path(volume.path) / "file").write_bytes(content)
    volumes.release(ANNA, volume.generation)
    copies.closed(ANNA, volume.generation)


def _program(source: str, root: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", source, str(root)],
        cwd=_ROOT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def _killed(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.mark.parametrize("parts", range(_PARTS + 3))
def test_a_process_that_is_killed_in_a_copy_leaves_those_before_and_the_next_one_makes_it(
    both: Both, tmp_path: Path, parts: int
) -> None:
    """After each part; the last ones are after all parts, and when it was done."""
    _, copies = both
    _closed(both, b"good")
    assert copies.keep(ANNA, lambda: None) is Kept.MADE
    better = os.urandom((_PARTS - 1) * PART + 1)
    _closed(both, better)
    process = _program(_KEEPS, tmp_path)
    assert process.stdin is not None
    assert process.stdout is not None
    line = process.stdout.readline()
    for _ in range(parts):
        if line == "done\n":
            break
        process.stdin.write("\n")
        process.stdin.flush()
        line = process.stdout.readline()
    assert line in {"part\n", "done\n"}
    _killed(process)
    found = [each.generation for each in copies.list(ANNA)]
    assert found == ([1, 2] if line == "done\n" else [1])
    assert copies.keep(ANNA, lambda: None) is (Kept.UNCHANGED if 2 in found else Kept.MADE)
    assert (tmp_path / "copies/anna/2/data/file").read_bytes() == better
    assert (tmp_path / "copies/anna/1/data/file").read_bytes() == b"good"


def test_a_process_that_is_killed_in_a_restore_leaves_the_one_or_the_other_whole(
    both: Both, tmp_path: Path
) -> None:
    """However often, and at any moment."""
    volumes, copies = both
    states = [bytes([number]) * (PART + number) for number in (1, 2)]
    for each in states:
        _closed(both, each)
        assert copies.keep(ANNA, lambda: None) is Kept.MADE
    kept = {number: tmp_path / f"copies/anna/{number}/data/file" for number in (1, 2)}
    for restores in (0, 1, 2, 3, 1, 2, 0, 5):
        process = _program(_RESTORES, tmp_path)
        assert process.stdout is not None
        for _ in range(restores):
            assert process.stdout.readline() == "restored\n"
        _killed(process)
        assert (volumes.data(ANNA) / "file").read_bytes() in states
        assert [file.read_bytes() for file in kept.values()] == states
        volume = volumes.claim(ANNA, holder())
        volumes.release(ANNA, volume.generation)
    copies.restore(ANNA, 1)
    assert (volumes.data(ANNA) / "file").read_bytes() == states[0]
    names = {each.name for each in (tmp_path / "volumes/anna").iterdir()}
    assert names == {"claim", "data", "generation"}, "nothing of the killed ones is left"


async def test_what_a_killed_wrapper_did_not_copy_is_copied_after_its_return(
    tmp_path: Path,
) -> None:
    volumes = HostPathVolumes(tmp_path / "volumes")
    (volumes.create(ANNA) / "large").write_bytes(os.urandom(16 * PART))
    chosen = settings(tmp_path, pool_size=1, copies_dir=tmp_path / "copies")
    place = tmp_path / "copies/anna"
    async with started(chosen) as wrapper:
        (server,) = await wrapper.ready()
        async with TinyClient.to(server.port) as client:
            await client.log_in("anna")
            assert await client.ask("NOTE kept") == "NOTED"
            assert await client.ask("BYE") == "GOODBYE"
        due = place / "due-1"
        await eventually(lambda: due.exists() or _notes(place), "a copy is due")
        wrapper.signal(signal.SIGKILL)
        await wrapper.ended()
    async with started(chosen):
        await eventually(lambda: _notes(place) and not due.exists(), "it is copied")
    (newest,) = HostPathCopies(tmp_path / "copies", volumes).list(ANNA)[-1:]
    assert newest.generation == 1


def _notes(place: Path) -> list[str]:
    """Of all copies."""
    return [each.read_text() for each in place.glob("[0-9]*/data/notes*")]
