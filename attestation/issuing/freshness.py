"""What a user's database was when it was last closed, kept apart from the volume that it is on.

Who stores volumes can give a server an older copy of a database: it is encrypted and authentic, and nothing in it says
that there is a newer one. This store remembers the tag of the newest, so the next server notices.

    opened(uid, generation)       before the first change: the tag is forgotten, for from now on it is wrong
    left(uid, generation, tag)    after the database was closed: the tag is known again

Invariants: what a call changes is on disk when it returns. A server that ends without `left` leaves no tag, so what is
said afterwards is "unknown" and never a tag that a crash made wrong. `left` of an older claim than the last one that is
known is refused: a server that was cut off from its user's volume cannot overwrite what its successor said. `opened`
is not, because it only takes knowledge away, and because a user who goes back to an older copy on purpose goes back to
its generations as well.

Each user has a file of his own, sealed, that names him: a file under another user's name is refused, and so is one
that somebody changed. Nothing is cached, for several wrappers of a machine share the directory.

Not promised: who can write the directory can put an older copy of a file back, or take one away, together with the
volume, and this is not noticed here: that needs memory which the host cannot roll back, which no disk of his is. What
notices it is the client's own copy of the tag, which LOGIN compares as well.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from attestation.issuing.messages import Record
from standby import decode, durable
from standby.errors import PlatformError
from standby.ids import Generation, Uid, UidField
from standby.seal import Seal

_LOCK: Final = ".lock"
_SUFFIX: Final = ".freshness"


class FreshnessError(PlatformError):
    """What is known of a database cannot be told or kept."""


class FreshnessUnreadableError(FreshnessError):
    """There is a record, but not one that this store wrote for this user."""

    code = "freshness_unreadable"


class FreshnessUnwritableError(FreshnessError):
    code = "freshness_unwritable"
    status = 503
    retry = True


class StaleGenerationError(FreshnessError):
    """Said under an older claim than the last one that is known."""

    code = "stale_generation"
    status = 409


class FreshnessStore:
    """All users' records. Blocking; threads, stores and processes may share the directory."""

    def __init__(self, directory: Path, seal: Seal) -> None:
        """The directory is made when something is kept for the first time."""
        self._directory = directory
        self._seal = seal

    def last_seen(self, uid: Uid) -> Record | None:
        """What is known of the user's database; None: it was never opened here.

        Raises:
            FreshnessUnreadableError: the file cannot be read, or is not what was written for this user.
        """
        file = self._file(uid)
        try:
            kept = decode.packet(self._seal.open(file.read_bytes()), _Kept)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise FreshnessUnreadableError(
                f"what is known of {uid}'s database cannot be read ({file}: {error}): restore that file, or delete it"
                " if it may be forgotten"
            ) from error
        if kept.uid != uid:
            raise FreshnessUnreadableError(
                f"{file} is about {kept.uid}'s database: somebody exchanged files; restore it, or delete it if it may"
                " be forgotten"
            )
        return kept.record

    def opened(self, uid: Uid, generation: Generation) -> None:
        """The database is changed from now on, so its tag is forgotten; on disk when this returns.

        Raises:
            FreshnessUnwritableError: it cannot be written; nobody may change the database.
        """
        with self._locked():
            self._write(uid, Record(generation, None))

    def left(self, uid: Uid, generation: Generation, tag: bytes) -> None:
        """The database was closed under this claim and has this tag; on disk when this returns.

        Raises:
            StaleGenerationError: a later claim is known.
            FreshnessUnreadableError: what is known cannot be read, so it cannot be compared.
            FreshnessUnwritableError: it cannot be written.
        """
        with self._locked():
            known = self.last_seen(uid)
            if known is not None and generation < known.generation:
                raise StaleGenerationError(
                    f"{uid}'s database was claimed again since (generation {known.generation}, not {generation}):"
                    " what an older claim says about it is not kept"
                )
            self._write(uid, Record(generation, tag))

    def forget(self, uid: Uid) -> None:
        """There is another database from now on, made for a user who had none.

        Raises:
            FreshnessUnwritableError: the record cannot be removed.
        """
        with self._locked():
            self._file(uid).unlink(missing_ok=True)
            durable.sync(self._directory)

    def _file(self, uid: Uid) -> Path:
        return self._directory / f"{uid}{_SUFFIX}"

    def _write(self, uid: Uid, record: Record) -> None:
        content = self._seal.close(msgspec.msgpack.encode(_Kept(uid, record)))
        durable.replace(self._file(uid), content)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time, over all processes; also translates what a disk can do wrong."""
        try:
            if not self._directory.exists():
                self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                durable.sync(self._directory.parent)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            descriptor = os.open(self._directory / _LOCK, flags, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                yield
            finally:
                os.close(descriptor)
        except OSError as error:
            raise FreshnessUnwritableError(
                f"what is known of a database cannot be kept in {self._directory}: {error}"
            ) from error


class _Kept(Struct, frozen=True, forbid_unknown_fields=True):
    uid: UidField
    record: Record
