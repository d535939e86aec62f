"""How a starting platform tells what happens: a function that takes one line."""

import os
import re
from collections.abc import Callable
from typing import Final

from standby.errors import words
from standby_cli.errors import CommandError, of_status, status_of

READY: Final = "ready"
"""The line that says that all is ready."""
_FAILED: Final = re.compile(r"failed ([0-9]+): (.*)", re.DOTALL)

Tell = Callable[[str], None]


def failed(error: Exception) -> str:
    """The line that says why the platform did not start."""
    return f"failed {status_of(error)}: {words(error)}"


def failure(line: str) -> CommandError | None:
    """The error that a line tells of, if it does."""
    found = _FAILED.fullmatch(line)
    return of_status(int(found[1]), found[2]) if found else None


def pipe_teller(descriptor: int) -> Tell:
    """Tells whoever started a supervisor in the background, over a pipe, until the outcome is known.

    Line breaks inside a text travel escaped. When nobody listens any more, nothing is told.
    """
    os.set_inheritable(descriptor, False)  # noqa: FBT003  # the standard library's form
    open_end: int | None = descriptor

    def tell(text: str) -> None:
        nonlocal open_end
        if open_end is None:
            return
        outcome = text == READY or failure(text) is not None
        try:
            os.write(open_end, (text.replace("\n", "\\n") + "\n").encode())
        except BrokenPipeError:
            outcome = True
        if outcome:
            os.close(open_end)
            open_end = None

    return tell
