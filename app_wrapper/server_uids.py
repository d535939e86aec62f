"""Uids of servers' own, where the wrapper is root: which numbers, and directories that servers with them can pass.

Slot n has the uid `first` + n, so no two servers of a wrapper that live at the same time share one; two wrappers of one
machine are kept apart by their `first`. The server changes to it by itself (`standby.hardening.own_uid`). Whether they
would work, and what is handed over to them: `ownership`.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from standby.ids import Slot

FIRST: Final = 700_000
"""Above the accounts of people, and what `useradd` gives the first nine of them in /etc/subuid (from 100000 on, 65536
each: login.defs(5)). Choose another one where containers with uids of their own have these."""
SPAN: Final = 200_000
"""From one wrapper's first to the next one's. Slots have the lowest free numbers, and there are at most as many servers
that leave as `capacity` has places, so that is twice the largest capacity."""
ROOT: Final = 0
_PRIVATE: Final = 0o700
_PASSAGE: Final = 0o711
"""Of a directory that servers pass through by name, and whose contents are closed by their own modes."""


@dataclass(frozen=True, slots=True)
class ServerUids:
    """By slot."""

    first: int

    def of(self, slot: Slot) -> int:
        return self.first + slot


def make_passage(directory: Path) -> None:
    """Make a directory of the wrapper's own, unless it is there, which servers with uids of their own can pass."""
    directory.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
    if os.geteuid() == ROOT:
        directory.chmod(_PASSAGE)
