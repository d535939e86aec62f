"""A process that dies between two steps: the n-th call that changes a file, or makes a change durable, is its end.

The calls before it have been carried out, that one and all later ones have not. What a power loss would take away is
not taken away.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, Final

import pytest

_STEPS: Final[tuple[tuple[ModuleType, str], ...]] = (
    *(
        (os, name)
        for name in (
            "copy_file_range",
            "fchmod",
            "fchown",
            "fsync",
            "ftruncate",
            "link",
            "mkdir",
            "open",
            "pwrite",
            "rename",
            "replace",
            "rmdir",
            "unlink",
            "write",
        )
    ),
    (fcntl, "ioctl"),
)


class DiedError(BaseException):
    """No handler of ordinary errors may run: the process is gone."""


@contextlib.contextmanager
def dying_at(step: int) -> Iterator[None]:
    """Die before the step with this number, which begins at 0; raises `DiedError` unless there are fewer."""
    left = step

    def mortal(call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **named: Any) -> Any:
            nonlocal left
            if left <= 0:
                raise DiedError
            left -= 1
            return call(*arguments, **named)

        return called

    with pytest.MonkeyPatch.context() as patch:
        for module, name in _STEPS:
            patch.setattr(module, name, mortal(getattr(module, name)))
        yield


def every_death(work: Callable[[], None], most: int = 200) -> Iterator[int]:
    """Do the work again and again, each time with its death one step later, until it is done; gives each number.

    What follows a death is the caller's, between two turns.
    """
    for step in range(most):
        try:
            with dying_at(step):
                work()
        except DiedError:
            yield step
        else:
            return
    raise AssertionError(f"the work has more than {most} steps")
