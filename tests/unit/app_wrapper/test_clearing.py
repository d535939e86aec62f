"""Removing what servers have left: however much it is, nobody waits and nothing is listed."""

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app_wrapper import clearing
from app_wrapper.clearing import Clearing, empty
from tests.support.waiting import eventually_sync


@pytest.fixture
def garbage(tmp_path: Path) -> Path:
    place = tmp_path / "garbage"
    place.mkdir()
    return place


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    directory = tmp_path / "outside"
    directory.mkdir()
    (directory / "kept").write_text("kept")
    return directory


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Clearing]:
    made = Clearing(tmp_path / "clearing")
    yield made
    made.close()


def test_everything_is_removed_and_the_directory_stays(garbage: Path, outside: Path) -> None:
    (garbage / "a/b/c").mkdir(parents=True)
    (garbage / "a/b/file").write_text("x")
    (garbage / "link").symlink_to(outside)
    (garbage / "a/other").hardlink_to(outside / "kept")
    os.mkfifo(garbage / "a/fifo")
    empty(garbage)
    assert list(garbage.iterdir()) == []
    assert (outside / "kept").read_text() == "kept"


def test_depth_takes_no_descriptors(garbage: Path) -> None:
    """Deeper than names can be long, and than a process can have files open."""
    depth = 3000
    here = os.open(garbage, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("directory-within", dir_fd=here)  # as deep as paths cannot be
        below = os.open("directory-within", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # names are enough
    empty(garbage)
    assert list(garbage.iterdir()) == []
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_nothing_is_listed_and_each_entry_is_looked_at_once(
    garbage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is what one entry needs."""
    for number in range(2000):
        (garbage / f"{number}").touch()
    alive, most, seen = 0, 0, 0
    scandir = os.scandir

    class Streamed:
        def __init__(self, descriptor: int) -> None:
            self._entries = scandir(descriptor)

        def __enter__(self) -> "Iterator[os.DirEntry[str]]":
            return self._stream()

        def __exit__(self, *_: object) -> None:
            self._entries.close()

        def _stream(self) -> "Iterator[os.DirEntry[str]]":
            nonlocal alive, most, seen
            for entry in self._entries:
                alive, seen = alive + 1, seen + 1
                most = max(most, alive)
                yield entry
                alive -= 1

    monkeypatch.setattr(os, "scandir", Streamed)
    empty(garbage)
    assert (most, seen) == (1, 2000)


def test_it_stops_between_two_entries(garbage: Path) -> None:
    for number in range(10):
        (garbage / f"{number}").touch()
    asked = iter([False] * 3 + [True] * 100)
    empty(garbage, lambda: next(asked))
    assert len(list(garbage.iterdir())) == 7
    empty(garbage)
    assert list(garbage.iterdir()) == []


def test_a_directory_that_is_exchanged_for_a_link_is_not_followed(
    garbage: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a process that is still there, between the look and the step."""
    (garbage / "directory").mkdir()
    (garbage / "directory/file").touch()
    opened = clearing._opened

    def exchanging(name: str, parent: int) -> object:
        (garbage / "directory").rename(outside / "moved")
        (garbage / "directory").symlink_to(outside)
        monkeypatch.setattr(clearing, "_opened", opened)
        return opened(name, parent)

    monkeypatch.setattr(clearing, "_opened", exchanging)
    with pytest.raises(OSError, match=r"symbolic|Not a directory"):
        empty(garbage)
    empty(garbage)
    assert list(garbage.iterdir()) == []
    assert (outside / "kept").read_text() == "kept"


@pytest.mark.skipif(os.geteuid() != 0, reason="to become another account")
def test_closed_directories_are_opened_by_their_owner_who_is_not_root(garbage: Path) -> None:
    os.chown(garbage, 65_432, 65_432)
    directory = os.open(garbage, os.O_RDONLY)
    pid = os.fork()
    if pid == 0:
        os.fchdir(directory)
        os._exit(_emptied_by_an_account())
    os.close(directory)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _emptied_by_an_account() -> int:
    os.setgroups([])
    os.setresgid(65_432, 65_432, 65_432)
    os.setresuid(65_432, 65_432, 65_432)
    deep = Path("closed/within")
    deep.mkdir(parents=True)
    (deep / "file").touch()
    deep.chmod(0)
    deep.parent.chmod(0)
    empty(Path())
    return len(os.listdir())  # noqa: PTH208


def test_what_cannot_be_removed_is_said_after_the_rest_is_gone(
    garbage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "stuck", "z"):
        (garbage / name).touch()
    unlink = os.unlink

    def refusing(name: str, *, dir_fd: int) -> None:
        if name == "stuck":
            raise PermissionError(1, "Operation not permitted")
        unlink(name, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", refusing)
    with pytest.raises(PermissionError):
        empty(garbage)
    assert [each.name for each in garbage.iterdir()] == ["stuck"]


def test_a_name_is_free_at_once_and_what_it_had_is_removed_later(
    started: Clearing, tmp_path: Path
) -> None:
    slot = tmp_path / "slot"
    slot.mkdir()
    (slot / "file").touch()
    started.put(slot)
    assert not slot.exists()
    slot.mkdir()
    eventually_sync(lambda: not list((tmp_path / "clearing").iterdir()), "it is removed")
    assert slot.exists()


def test_what_is_not_there_need_not_be_removed(started: Clearing, tmp_path: Path) -> None:
    started.put(tmp_path / "nothing")


def test_what_an_earlier_wrapper_has_left_is_removed(tmp_path: Path) -> None:
    left = tmp_path / "clearing" / "left"
    left.mkdir(parents=True)
    (left / "file").touch()
    again = Clearing(tmp_path / "clearing")
    eventually_sync(lambda: not left.exists(), "it is removed")
    assert stat.S_IMODE((tmp_path / "clearing").stat().st_mode) & 0o700 == 0o700
    again.close()


def test_it_gives_way_to_servers(tmp_path: Path) -> None:
    others = set(threading.enumerate())
    (tmp_path / "slot").mkdir()
    started = Clearing(tmp_path / "clearing")
    started.put(tmp_path / "slot")
    mine = set(threading.enumerate()) - others
    (thread,) = [each for each in mine if each.name.startswith("clearing")]
    assert thread.native_id is not None
    priority = eventually_sync(
        lambda: os.getpriority(os.PRIO_PROCESS, thread.native_id or 0), "it has begun"
    )
    assert priority == clearing.NICENESS
    started.close()
