"""A part's output: read from its pipes as it comes, and written to files of bounded size.

The supervisor reads, so a part never waits for a disk, and files can be rotated while it runs. What a part has printed
when it ends is read to its end. A pipe holds a megabyte: a part waits only if the supervisor is stopped for longer than
that takes to fill. Parts die with the supervisor, so no pipe is left without a reader. Lines are written whole, so that
neither a new file nor another process of the part cuts them; a line without an end yet waits here, unless it is long.

Rejected: parts that write the files themselves, because HAProxy cannot rotate its own; copying a file and cutting it
short (logrotate's copytruncate), which loses what is written between the two.
"""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from standby.logs import EventLog
from standby_cli.rotating import RotatingFile
from standby_cli.settings import Settings

CHUNK: Final = 1 << 16
"""Bytes that are read before other parts have their turn."""
_PIPE: Final = 1 << 20
"""Bytes that wait in a pipe, where the kernel allows that."""
_RECENT: Final = 1 << 13
"""Bytes that are remembered for error texts, whether or not they could be written."""
_LONG: Final = 1 << 16
"""Bytes of a line that are written before it has ended."""
_PAUSE: Final = 0.1
"""Seconds without a look at a pipe that was read empty, so that each line by itself does not wake the supervisor."""
_MOST: Final = 256
"""Chunks that are read at once at a part's end."""
log = EventLog(__name__)


class PartLog:
    """Of all processes of one part, one after the other or for a while together."""

    def __init__(self, name: str, path: Path, limits: Settings) -> None:
        self._name = name
        self._file = RotatingFile(path, limits, self._lost)
        self._pipes: dict[int, bytes] = {}
        """With the line that each has begun."""
        self._recent = b""

    @contextlib.contextmanager
    def pipe(self) -> Iterator[int]:
        """A descriptor for a process that is started in this context; what it prints there is logged.

        Raises:
            OSError: no descriptors are left.
        """
        reader, writer = os.pipe2(os.O_CLOEXEC)
        try:
            os.set_blocking(reader, False)
            with contextlib.suppress(OSError):
                fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, _PIPE)
            self._pipes[reader] = b""
            self._follow(reader)
            yield writer
        finally:
            os.close(writer)

    def recent(self) -> list[str]:
        """The last lines, oldest first."""
        self._read_all()
        return self._recent.decode(errors="replace").splitlines()

    def close(self) -> None:
        """Read what has come and forget the pipes."""
        self._read_all()
        for pipe in tuple(self._pipes):
            self._forget(pipe)
        self._file.close()

    def _read_all(self) -> None:
        for pipe in tuple(self._pipes):
            for _ in range(_MOST):
                if not self._read(pipe):
                    break

    def _follow(self, pipe: int) -> None:
        """Read as soon as something comes; then not for a moment, because a part prints its lines one by one."""
        if pipe in self._pipes:
            asyncio.get_running_loop().add_reader(pipe, self._readable, pipe)

    def _readable(self, pipe: int) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(pipe)
        full = self._read(pipe)
        loop.call_later(0.0 if full else _PAUSE, self._follow, pipe)

    def _read(self, pipe: int) -> bool:
        """Whether there may be more."""
        try:
            chunk = os.read(pipe, CHUNK)
        except BlockingIOError:
            return False
        if not chunk:
            self._forget(pipe)
            return False
        self._recent = (self._recent + chunk)[-_RECENT:]
        text = self._pipes[pipe] + chunk
        whole = text.rfind(b"\n") + 1 or (len(text) if len(text) >= _LONG else 0)
        self._pipes[pipe] = text[whole:]
        self._write(text[:whole])
        return len(chunk) == CHUNK

    def _forget(self, pipe: int) -> None:
        asyncio.get_running_loop().remove_reader(pipe)
        self._write(self._pipes.pop(pipe))
        os.close(pipe)

    def _write(self, text: bytes) -> None:
        if text:
            self._file.write(text)

    def _lost(self, lines: int, why: str) -> None:
        if lines:
            log.warning("log_lines_lost", part_name=self._name, lines=lines, text=why)
        else:
            log.error("log_not_written", part_name=self._name, text=why)
