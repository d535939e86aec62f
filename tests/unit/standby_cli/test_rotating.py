"""Log files of bounded size: nothing is lost while they are rotated, and a full disk ends nothing."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from standby_cli.rotating import RotatingFile, RotatingStream
from standby_cli.settings import Settings

_SIZE = 4096
_LINE = b"x" * 99 + b"\n"


class Losses:
    """What was told of lines that were lost."""

    def __init__(self) -> None:
        self.told: list[tuple[int, str]] = []

    def __call__(self, lines: int, why: str) -> None:
        self.told.append((lines, why))


def _file(directory: Path, files: int = 3, losses: Losses | None = None) -> RotatingFile:
    limits = Settings(log_size=_SIZE, log_files=files)
    return RotatingFile(directory / "w1.log", limits, losses or Losses())


def _logs(directory: Path) -> list[Path]:
    """Oldest first."""
    kept = sorted(directory.glob("w1.log.*"), key=lambda each: -int(each.suffix[1:]))
    return [*kept, directory / "w1.log"]


def test_files_are_bounded_in_size_and_number_and_lines_are_whole(tmp_path: Path) -> None:
    file = _file(tmp_path)
    lines = [b"%05d %s" % (number, _LINE) for number in range(1000)]
    written = b"".join(lines)
    for start in range(0, len(written), 777):  # pieces end in the middle of lines
        file.write(written[start : start + 777])
    logs = _logs(tmp_path)
    assert [each.name for each in logs] == ["w1.log.3", "w1.log.2", "w1.log.1", "w1.log"]
    for each in logs:
        assert each.stat().st_size <= _SIZE + len(lines[0])
        assert each.stat().st_mode & 0o777 == 0o600
        assert each.read_bytes().endswith(b"\n")
    kept = b"".join(each.read_bytes() for each in logs).splitlines(keepends=True)
    assert kept == lines[-len(kept) :], "the newest lines, each once"
    assert len(kept) > 3 * _SIZE / len(lines[0]) - 3


def test_a_line_longer_than_a_file_is_cut(tmp_path: Path) -> None:
    file = _file(tmp_path)
    file.write(b"y" * (2 * _SIZE + 10) + b"\nshort\n")
    assert b"".join(each.read_bytes() for each in _logs(tmp_path)) == (
        b"y" * (2 * _SIZE + 10) + b"\nshort\n"
    )
    assert max(each.stat().st_size for each in _logs(tmp_path)) <= _SIZE


def test_what_was_there_counts_and_older_files_than_are_kept_go(tmp_path: Path) -> None:
    (tmp_path / "w1.log").write_bytes(_LINE * 40)
    for number in (1, 2, 3, 4):
        (tmp_path / f"w1.log.{number}").write_text(str(number))
    _file(tmp_path, files=2).write(_LINE * 2)
    assert (tmp_path / "w1.log").read_bytes() == _LINE * 2
    assert (tmp_path / "w1.log.1").read_bytes() == _LINE * 40
    assert (tmp_path / "w1.log.2").read_text() == "1"
    assert not (tmp_path / "w1.log.3").exists()


def _full(monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    """From now on only so many bytes can be written."""
    write: Callable[[int, bytes], int] = os.write
    left = [room]

    def limited(descriptor: int, text: bytes) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done = write(descriptor, text[: left[0]])
        left[0] -= done
        return done

    monkeypatch.setattr(os, "write", limited)


def test_a_full_disk_loses_lines_says_so_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = Losses()
    file = _file(tmp_path, losses=losses)
    with monkeypatch.context() as patch:
        _full(patch, room=150)
        for _ in range(5):
            file.write(_LINE)
    assert losses.told == [(0, "No space left on device")]
    file.write(b"again\n")
    assert losses.told[1:] == [(4, "No space left on device")]
    assert (tmp_path / "w1.log").read_bytes() == _LINE + b"x" * 50 + b"\nagain\n"


def test_a_directory_that_is_gone_loses_lines_and_ends_nothing(tmp_path: Path) -> None:
    losses = Losses()
    file = _file(tmp_path / "logs", losses=losses)
    file.write(_LINE * 3)
    (tmp_path / "logs").mkdir()
    file.write(_LINE)
    assert [lines for lines, _ in losses.told] == [0, 3]
    assert (tmp_path / "logs" / "w1.log").read_bytes() == _LINE


def test_followers_mean_the_present_file(tmp_path: Path) -> None:
    """The supervisor's own stdout and stderr."""
    follower = os.open("/dev/null", os.O_WRONLY)
    try:
        limits = Settings(log_size=_SIZE, log_files=1)
        file = RotatingFile(tmp_path / "w1.log", limits, Losses(), (follower,))
        stream = RotatingStream(file)
        stream.write("first\n")
        stream.write("x" * (_SIZE - 7) + "\n")
        stream.write("second\n")
        os.write(follower, b"traceback\n")
    finally:
        os.close(follower)
    assert (tmp_path / "w1.log").read_text() == "second\ntraceback\n"
