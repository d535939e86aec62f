"""Whether a process can be hardened now: alone, and with nothing open that goes around what it will be refused."""

import contextlib
import os
from typing import Final

from standby.hardening.errors import HardeningError

_RING: Final = "io_uring"


def check() -> None:
    """Before anything is applied.

    Raises:
        HardeningError: another thread runs, for which some layers would not hold; or a ring of io_uring is open, as
            libuv's event loops have one: what is asked through it is seen by no filter, and the loop would abort the
            process when it is refused. Or all this cannot be known, because the process has been hardened before.
    """
    try:
        threads, rings = len(os.listdir("/proc/self/task")), _rings()  # noqa: PTH208  # only counted
    except PermissionError as error:
        raise HardeningError("the process has been hardened already") from error
    if threads != 1:
        raise HardeningError(f"{threads} threads run; harden the process before it starts any")
    if rings:
        raise HardeningError("an event loop is there already; harden the process before it has one")


def _rings() -> int:
    found = 0
    for descriptor in os.listdir("/proc/self/fd"):  # noqa: PTH208  # names are all that is needed
        with contextlib.suppress(FileNotFoundError):  # that of this list
            found += _RING in os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115  # as above
    return found
