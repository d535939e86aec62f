"""What a process shall still be able to do; data only, so it can be compared, logged and tested."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final


class Layer(StrEnum):
    """In the order in which they are applied: each needs what seccomp, the last one, takes away.

    The uid comes first, because its change needs root's rights, and makes the kernel set anew what others set.
    """

    OWN_UID = "own-uid"
    RLIMITS = "rlimits"
    NOT_DUMPABLE = "not-dumpable"
    NO_NEW_PRIVS = "no-new-privs"
    MDWE = "mdwe"
    LANDLOCK = "landlock"
    SECCOMP = "seccomp"


ALL: Final = frozenset(Layer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Files and directories with all that is below them; nothing else can be opened. What is open stays open."""

    read_only: tuple[Path, ...] = ()
    read_write: tuple[Path, ...] = ()
    """Files may be made, changed and removed, directories too; no links, devices or sockets."""
    changed: tuple[Path, ...] = ()
    """Files that are there may be read and changed; none can be made, removed or renamed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """For one process."""

    places: Places = Places()
    ports: tuple[int, ...] = ()
    """TCP ports that may be bound, 0 for any that the system chooses. Without one no socket can be made; an inherited
    one works all the same. Connections that go out never do."""
    layers: frozenset[Layer] = ALL
    run_as: int | None = None
    """The uid, and gid, that no other process has; see `own_uid`."""
    required: bool = False
    """A layer that cannot be applied is an error, but for `Report.excused`."""
