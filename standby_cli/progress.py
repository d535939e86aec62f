"""How a starting platform tells what happens: a function that takes one line."""

import os
from collections.abc import Callable
from typing import Final

READY: Final = "ready"
"""The line that says that all is ready."""
FAILED: Final = "failed: "
"""What the line begins with that says why the platform did not start."""

Tell = Callable[[str], None]


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
        outcome = text == READY or text.startswith(FAILED)
        try:
            os.write(open_end, (text.replace("\n", "\\n") + "\n").encode())
        except BrokenPipeError:
            outcome = True
        if outcome:
            os.close(open_end)
            open_end = None

    return tell
