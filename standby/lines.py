r"""The line protocol between a wrapper and a server, so that any program in any language can take part.

The server prints events to stdout, one a line: `WAITING_LOGIN`, `LOGIN <uid>`, `LOGOUT [reason]`; everything else it
prints is its log. The wrapper answers LOGIN on the server's stdin with `VOLUME <path> <generation>` or
`DENIED <code> <text>`, and closes stdin to ask the server to stop.

This module holds the words that servers say, both sides of the answers, and the cutting of streams into lines; which
output lines mean which event is the application's choice (`app.toml`), with these words as the default. A path with a
space or a line break cannot be said and is refused when it is formatted.
"""

from dataclasses import dataclass
from typing import Final

from standby.ids import Generation, InvalidIdError, Uid, parse_number
from standby.states import StopReason

WAITING_LOGIN: Final = "WAITING_LOGIN"
MAX_LINE: Final = 8192
"""Bytes; a longer line of a server's output is log, never an event, and is cut."""


@dataclass(frozen=True, slots=True)
class Volume:
    """The user's data is at `path`, claimed as `generation`."""

    path: str
    generation: Generation


@dataclass(frozen=True, slots=True)
class Denied:
    """The user's data cannot be had now."""

    code: str
    text: str


class LineError(ValueError):
    """A line that is not part of the protocol."""


def login(uid: Uid) -> str:
    return f"LOGIN {uid}"


def logout(reason: StopReason) -> str:
    return f"LOGOUT {reason}"


def format_answer(answer: Volume | Denied) -> str:
    """The line, without its end, that tells a server about its volume.

    Raises:
        LineError: the parts cannot be told apart again (a space in the path, a line break anywhere).
    """
    if isinstance(answer, Volume):
        line, words = f"VOLUME {answer.path} {answer.generation}", 3
    else:
        line = f"DENIED {answer.code} {answer.text}"
        words = line.count(" ") + 1
    if len(line.splitlines()) != 1 or line.count(" ") + 1 != words:
        raise LineError("a space in the volume's path, or a line break, cannot be sent to a server")
    return line


def parse_answer(line: str) -> Volume | Denied:
    """What the wrapper said.

    Raises:
        LineError: neither VOLUME nor DENIED.
    """
    match line.rstrip("\r\n").split(" ", 2):
        case ["VOLUME", path, generation]:
            return Volume(path, _generation(generation))
        case ["DENIED", code, text]:
            return Denied(code, text)
        case ["DENIED", code]:
            return Denied(code, "")
        case _:
            raise LineError("expected VOLUME <path> <generation> or DENIED <code> <text>")


def _generation(text: str) -> Generation:
    try:
        return Generation(parse_number(text, 1))
    except InvalidIdError as error:
        raise LineError(f"VOLUME without a generation: {error}") from error


class LineCutter:
    """Bytes in, lines out. A line that is too long is given cut, once it is complete."""

    def __init__(self, limit: int = MAX_LINE) -> None:
        self._limit = limit
        self._rest = b""

    def feed(self, chunk: bytes) -> list[str]:
        """The lines that this chunk completes."""
        *whole, rest = (self._rest + chunk).split(b"\n")
        self._rest = rest[
            : self._limit + 1
        ]  # one more, so that a cut line stays recognisable as too long
        return [self._text(line) for line in whole]

    def end(self) -> list[str]:
        """The line that was not ended, if there is one."""
        rest, self._rest = self._rest, b""
        return [self._text(rest)] if rest else []

    def _text(self, line: bytes) -> str:
        cut = line[: self._limit] + (b"\xe2\x80\xa6" if len(line) > self._limit else b"")
        return cut.decode("utf-8", "replace").rstrip("\r")
