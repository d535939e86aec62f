"""What a server gets of a volume: whose it is while a server has it and afterwards, and how much it can become.

    Files       The application names its files. They are all that there is: the wrapper makes missing journals, the
                directory stays root's, and the server changes its files but makes, removes and renames none. So a
                volume has as many files as were named, each as large as the kernel lets a server write
                (`Limits.file`), and giving and taking back touch just these.
    Directory   The server's own directory, in which it does as it likes. Nothing but a quota of the file system would
                keep it from going over its bounds, so these are looked at: at each claim, at intervals, at the end.

Where servers share the wrapper's account nothing is given or taken, and only the server's own hardening keeps it from
making other files beside the named ones.

Invariant: whoever dies meanwhile, giving and taking back can be done again. What is taken back is closed first.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from app_wrapper import ownership
from app_wrapper.server_uids import ROOT
from app_wrapper.volumes import VolumeDamagedError, VolumeOverLimitError
from app_wrapper.volumes.bounds import MOST_BYTES, MOST_FILES, Bounds, look

_SHUT: Final = 0o700
_PASSABLE: Final = 0o750
"""For the gid that means one server alone: it opens its files, and the directory to make their names durable."""
_PRIVATE: Final = 0o600
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC
_JOURNAL: Final = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class Contents(Protocol):
    """What an application keeps in a volume's data directory."""

    @property
    def bounds(self) -> Bounds | None:
        """What it may become while a server has it; None: the kernel sees to that."""

    def check(self, data: Path, *, given: bool) -> None:
        """Make sure that a server can be given it; `given`: it will have another uid.

        Raises:
            VolumeDamagedError: something is missing, or may not be given.
            VolumeOverLimitError: there is more than there may be.
            OSError: it cannot be looked at.
        """

    def give(self, data: Path, server_uid: int) -> None:
        """From now on it is that uid's.

        Raises:
            OSError: it cannot be given; a part may have been.
        """

    def take_back(self, data: Path, server_uid: int) -> None:
        """From now on it is root's, and not that uid's.

        Raises:
            VolumeOverLimitError: there is more than there may be; a part may have been taken.
            OSError: something in it is neither's, or it cannot be done.
        """


@dataclass(frozen=True, slots=True)
class Directory:
    """See the module's text."""

    bounds: Bounds = field(default_factory=lambda: Bounds(MOST_FILES, MOST_BYTES))

    def check(self, data: Path, *, given: bool) -> None:
        self._look(data)
        if given:
            ownership.check(data)

    def give(self, data: Path, server_uid: int) -> None:
        ownership.hand_over(data, server_uid)

    def take_back(self, data: Path, server_uid: int) -> None:
        self._look(data)
        ownership.hand_over(data, ROOT, former=server_uid)

    def _look(self, data: Path) -> None:
        over = look(data, self.bounds).over
        if over is not None:
            raise VolumeOverLimitError(
                f"the volume has {over}; the operator has to remove files from its directory `data`, or to raise "
                "APP_WRAPPER_VOLUME_FILES or APP_WRAPPER_VOLUME_BYTES"
            )


@dataclass(frozen=True, slots=True)
class Files:
    """See the module's text; names without directories."""

    kept: tuple[str, ...]
    """They are there from enrolment on."""
    journals: tuple[str, ...] = ()
    """They may be missing, which means the same as empty ones."""

    @property
    def bounds(self) -> None:
        return None

    def check(self, data: Path, *, given: bool) -> None:
        with _opened(data) as directory:
            for name in self.kept:
                self._check_one(directory, name, given=given)
            for name in self.journals:
                os.close(os.open(name, _JOURNAL, _PRIVATE, dir_fd=directory))
                self._check_one(directory, name, given=given)

    def give(self, data: Path, server_uid: int) -> None:
        with _opened(data) as directory:
            for descriptor in self._each(directory):
                _hand_over(descriptor, server_uid, _PRIVATE, (ROOT, server_uid))
            os.fchown(directory, ROOT, server_uid)
            os.fchmod(directory, _PASSABLE)

    def take_back(self, data: Path, server_uid: int) -> None:
        with _opened(data) as directory:
            os.fchown(directory, ROOT, ROOT)
            os.fchmod(directory, _SHUT)
            for descriptor in self._each(directory):
                _hand_over(descriptor, ROOT, _PRIVATE, (ROOT, server_uid))

    def _check_one(self, directory: int, name: str, *, given: bool) -> None:
        try:
            found = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            raise VolumeDamagedError(f"the volume has no file {name}; {_REMEDY}") from None
        if not stat.S_ISREG(found.st_mode):
            raise VolumeDamagedError(f"{name} in the volume is not a file; {_REMEDY}")
        if given and found.st_nlink > 1:
            raise VolumeDamagedError(
                f"{name} in the volume has another name (a hard link), so a server could change what is kept under "
                "that; copy it"
            )
        if given and found.st_uid != ROOT:
            raise VolumeDamagedError(
                f"{name} in the volume belongs to uid {found.st_uid}; if it is this user's, give it to root"
            )

    def _each(self, directory: int) -> Iterator[int]:
        """Each file that is there, open."""
        for name in (*self.kept, *self.journals):
            try:
                descriptor = os.open(name, _FILE, dir_fd=directory)
            except FileNotFoundError:
                continue
            try:
                yield descriptor
            finally:
                os.close(descriptor)


_REMEDY: Final = "the operator restores a copy (standby volumes restore UID), or its directory `data` from a backup"


@contextmanager
def _opened(data: Path) -> Iterator[int]:
    descriptor = os.open(data, _DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _hand_over(descriptor: int, owner: int, mode: int, owners: tuple[int, ...]) -> None:
    found = os.fstat(descriptor)
    if found.st_uid not in owners or not stat.S_ISREG(found.st_mode):
        raise ownership.NotHandedOverError(
            f"a file of the volume belongs to uid {found.st_uid}, neither to root nor to the server before"
        )
    if (found.st_uid, found.st_gid) != (owner, owner):
        os.fchown(descriptor, owner, owner)
    if stat.S_IMODE(found.st_mode) != mode:
        os.fchmod(descriptor, mode)
