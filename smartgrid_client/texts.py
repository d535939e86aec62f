"""The lines of a file, of a pipe or of standard input.

They may be UTF-8 or UTF-16, with or without a byte order mark, and end with LF, CRLF or CR.

A pipe is read to its end into memory, so that it can be checked whole before anything of it is sent, as a file is.
"""

import io
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

STANDARD_INPUT: Final = Path("-")
LONGEST: Final = 65_536
"""Characters of a line; a file with a longer one is no file of readings."""
_NOT_TEXT: Final = "it is not a text file of UTF-8 or UTF-16"
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")


class NotTextError(ValueError):
    """The bytes are no text, or no lines."""


class Source:
    """Something that can be read more than once."""

    def __init__(self, path: Path) -> None:
        """Reads a pipe to its end.

        Raises:
            OSError: it cannot be read.
        """
        self.name = "standard input" if path == STANDARD_INPUT else path.name
        self._path = path
        self._content: bytes | None = None
        if path == STANDARD_INPUT:
            with open(0, "rb", closefd=False) as stream:  # a descriptor, which may be closed
                self._content = stream.read()
        elif not stat.S_ISREG(path.stat().st_mode):
            self._content = path.read_bytes()

    def lines(self) -> Iterator[str]:
        """Without their ends.

        Raises:
            OSError: it cannot be read.
            NotTextError: it is no text.
        """
        yield from lines(self._opened())

    def _opened(self) -> BinaryIO:
        return self._path.open("rb") if self._content is None else io.BytesIO(self._content)


def lines(stream: BinaryIO) -> Iterator[str]:
    """The lines of a stream of bytes at its beginning, without their ends; closes it.

    Raises:
        NotTextError: it is no text.
    """
    encoding = "utf-16" if stream.read(2) in _UTF_16 else "utf-8-sig"
    stream.seek(0)
    with io.TextIOWrapper(stream, encoding, newline=None) as text:
        try:
            while line := text.readline(LONGEST):
                if "\0" in line:
                    raise NotTextError(_NOT_TEXT)
                if len(line) == LONGEST and not line.endswith("\n"):
                    raise NotTextError(f"a line has more than {LONGEST:,} characters")
                yield line.rstrip("\n")
        except UnicodeError:
            raise NotTextError(_NOT_TEXT) from None
