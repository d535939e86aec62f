"""A log file that does not grow without end: when it is full it is renamed, and a new one is begun.

`w1.log` is written, `w1.log.1` is the one before it, and as many are kept as settings say. Lines stay whole, unless one
is longer than a file may be. Only this process may write the files.

A full or broken disk never raises: what cannot be written is lost and counted, and the count is told with the first
write that succeeds again.
"""

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from standby_cli.settings import Settings

Lost = Callable[[int, str], None]
"""Told how many lines were lost, and why."""


class RotatingFile:
    def __init__(
        self, path: Path, limits: Settings, lost: Lost, followers: Sequence[int] = ()
    ) -> None:
        """`followers` are descriptors that always mean the present file, too."""
        self._path = path
        self._limits = limits
        self._tell_lost = lost
        self._followers = followers
        self._descriptor: int | None = None
        self._written = 0
        self._whole = True
        """The file ends with a line's end."""
        self._lost = 0
        self._why = ""

    def write(self, text: bytes) -> None:
        """Append this; it may be any piece of lines."""
        try:
            while text:
                descriptor = self._open()
                fitting = self._fitting(text)
                self._put(descriptor, text[:fitting])
                text = text[fitting:]
                if text:
                    self._rotate()
        except OSError as error:
            self._lose(text, error)
        else:
            self._tell()

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        if self._descriptor is None:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._descriptor = os.open(self._path, flags, 0o600)
            self._written = os.fstat(self._descriptor).st_size
            for each in self._followers:
                os.dup2(self._descriptor, each)
        return self._descriptor

    def _fitting(self, text: bytes) -> int:
        """How much of the text still belongs into this file."""
        room = self._limits.log_size - self._written
        if len(text) <= room:
            return len(text)
        if end := text.rfind(b"\n", 0, max(room, 0)) + 1:
            return end
        if self._whole and self._written:
            return 0
        first = text.find(b"\n") + 1
        return min(first or len(text), max(room, 0))

    def _put(self, descriptor: int, text: bytes) -> None:
        if text and self._lost and not self._whole:
            text = b"\n" + text  # the line before was cut by what went wrong
        while text:
            done = os.write(descriptor, text)
            self._written += done
            self._whole = text[:done].endswith(b"\n")
            text = text[done:]

    def _rotate(self) -> None:
        """Begin a new file; the oldest ones go."""
        self.close()
        kept = self._limits.log_files
        number = kept
        while (old := self._numbered(number)).exists():
            old.unlink()
            number += 1
        for number in range(kept - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                self._numbered(number).rename(self._numbered(number + 1))
        self._path.rename(self._numbered(1))

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def _lose(self, text: bytes, error: OSError) -> None:
        first = not self._lost
        self._lost += max(1, text.count(b"\n"))
        self._why = error.strerror or str(error)
        if first:
            self._tell_lost(0, self._why)

    def _tell(self) -> None:
        if self._lost:
            lines, self._lost = self._lost, 0
            self._tell_lost(lines, self._why)


class RotatingStream:
    """A rotating file for the standard library's logging."""

    def __init__(self, file: RotatingFile) -> None:
        self._file = file

    def write(self, text: str) -> None:
        self._file.write(text.encode(errors="backslashreplace"))

    def flush(self) -> None:
        """Nothing waits."""
