"""The wrapper's epoch: one number per life, strictly growing, on disk before it is used.

The state directory is locked meanwhile, because two wrappers that share one would take each other's reports for late.
"""

import fcntl
import os
import threading
from pathlib import Path
from typing import Final

from app_wrapper.errors import StateDirError
from standby import durable
from standby.errors import words
from standby.ids import LARGEST, Epoch, believable, parse_number

_FILE: Final = "epoch"
_LOCK: Final = "lock"
_MOST: Final = 100
"""Bytes that are read of the file."""


class EpochStore:
    """Owns a state directory until `close`."""

    def __init__(self, state_dir: Path) -> None:
        """Lock the directory and begin a new epoch.

        Raises:
            StateDirError: it cannot be used, or another wrapper uses it.
        """
        self._state_dir = state_dir
        self._raising = threading.Lock()
        try:
            state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(state_dir / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateDirError(f"{state_dir} cannot be used: {words(error)}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.epoch = self._next(self._read())
        except BlockingIOError:
            os.close(self._lock)
            raise StateDirError(f"another wrapper uses {state_dir}; give each its own") from None
        except OSError as error:
            os.close(self._lock)
            raise StateDirError(
                f"the epoch in {state_dir} cannot be kept: {words(error)}"
            ) from error
        except ValueError as error:
            os.close(self._lock)
            raise StateDirError(
                f"the epoch in {state_dir} cannot be kept: the file {_FILE!r} is damaged ({error}); delete it, and the "
                "wrapper goes on above the epoch that the Routing Manager knows"
            ) from error

    def raise_above(self, known: Epoch) -> Epoch:
        """Continue in an epoch above both the present and the `known` one; blocks until it is on disk.

        May be called by several threads: the reports to each Routing Manager are sent independently.

        Raises:
            OSError: it cannot be kept; the epoch stays what it was.
            ValueError: `known` is not believable; the epoch stays what it was.
        """
        with self._raising:
            if not believable(known, self.epoch):
                raise ValueError(f"epoch {known} is not believed in epoch {self.epoch}")
            self.epoch = self._next(max(self.epoch, known))
            return self.epoch

    def close(self) -> None:
        os.close(self._lock)

    def _read(self) -> int:
        try:
            content = (self._state_dir / _FILE).read_bytes()
        except FileNotFoundError:
            return 0
        return parse_number(content[:_MOST].decode("ascii", "replace").strip())

    def _next(self, last: int) -> Epoch:
        if last >= LARGEST:
            raise ValueError(f"no epoch follows {last}, which cannot have been counted")
        durable.replace(self._state_dir / _FILE, f"{last + 1}\n".encode())
        return Epoch(last + 1)
