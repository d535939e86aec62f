"""Copies of users' volumes, so that no session can destroy what sessions before it were told is stored.

A server does as it likes with its user's data, and one that was taken over may delete it. So the wrapper keeps the
volume as it was when servers closed it (which copies: `retention`), where no server comes. How is a provider's matter:
copies of files (`hostpath_copies`), or snapshots of a storage that has them.

    closed   a claim has ended, and its server had closed the data: a copy is due. Quick, and remembered over crashes.
    due      whose copies are due, among them volumes that have none yet.
    keep     make the copy that is due. It never keeps a user from logging in: if somebody claims the volume meanwhile,
             the copy is given up, and the ones before it stay.
    list     a volume's copies.
    restore  the data is that of a copy again. What it was before is kept as a copy, too, so that can be undone. Refused
             while the volume is claimed; whatever dies meanwhile, the data is the one or the other.
    renew    the same with data that is new, for a user whose key or data is lost.

Not promised: that there is a copy of each state. A user who logs in again before the copy is made takes it from a state
that nobody will see again; a user's own server (approach `trivial`) closes the data between two sessions and keeps its
claim, so it is copied when that server ends.

`tests/support/copies_contract.py` is the contract as tests. All calls may block.

    VolumeError
    ├── NoSuchCopyError
    └── NotCopiedError      the volume cannot be copied; the text says why
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from app_wrapper.volumes import VolumeError
from standby.ids import Generation, Uid

Between = Callable[[], None]


class NoSuchCopyError(VolumeError):
    code = "no_such_copy"
    status = 404


class NotCopiedError(VolumeError):
    code = "not_copied"
    status = 409


class Kept(StrEnum):
    """What came of a copy that was due."""

    MADE = "made"
    UNCHANGED = "unchanged"
    """The newest copy is of this state already, or there is nothing in the volume."""
    GIVEN_UP = "given_up"
    """The user logged in again."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """Of one volume."""

    number: int
    """Grows with each copy of the volume; the largest is the newest."""
    generation: int
    """Of the last claim before it; 0 if there was none."""
    taken: float
    """Unix seconds."""
    bytes: int
    restored: int | None = None
    """It was made when this copy was restored, and is the same as that."""
    replaced: bool = False
    """It is what a restore has replaced."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was done."""

    source: Copy
    replaced: Copy | None
    """What the data was before; None: there was nothing, or it was to be discarded."""
    skipped: tuple[str, ...] = ()
    """What was in it and is not in its copy: links and the like, which no copy holds."""


class VolumeCopies(Protocol):
    """A provider's copies; see the module's text."""

    def closed(self, uid: Uid, generation: Generation) -> None:
        """The claim of this generation has ended well."""

    def due(self) -> list[Uid]:
        """Users of whose volume a copy is to be made."""

    def keep(self, uid: Uid, between: Between) -> Kept:
        """Make the copy that is due; `between` is called again and again meanwhile, and may wait, or raise to end it.

        Raises:
            NotCopiedError, VolumeUnavailableError: there is none, and the ones before it stay.
        """

    def list(self, uid: Uid) -> list[Copy]:
        """The user's copies, oldest first."""

    def restore(self, uid: Uid, number: int | None = None, *, discard: bool = False) -> Restored:
        """Make the data what this copy is; None: what the newest copy is that differs from it. See the module's text.

        `discard`: what the data is now is not kept.

        Raises:
            UnknownUserError, NoSuchCopyError: there is no such volume or copy.
            ClaimedElsewhereError: the user has a session.
            NotCopiedError: what is there now cannot be kept.
            VolumeUnavailableError: it cannot be done now.
        """

    def renew(self, uid: Uid, contents: Path) -> Copy | None:
        """Make the data what is in this directory; what it was is kept as the copy that is returned.

        None: there was nothing in it. Generations go on.

        Raises:
            UnknownUserError: there is no such volume.
            ClaimedElsewhereError, NotCopiedError, VolumeUnavailableError: as `restore`.
        """
