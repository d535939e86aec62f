"""One user's database among the volumes: whether there is one that its key opens, and making it.

A new database appears as a whole or not at all. One that takes the place of another (`renew`) does so in one step,
while no server can have the volume; what was there is kept as a copy first, and generations go on growing.
"""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from app_wrapper.volumes import ClaimedElsewhereError, VolumeError
from app_wrapper.volumes.copies import Copy
from app_wrapper.volumes.hostpath import HostPathVolumes
from app_wrapper.volumes.hostpath_copies import HostPathCopies
from attestation.issuing.freshness import FreshnessStore
from smartgrid_server import cipher, database
from smartgrid_server.errors import DatabaseError, StorageFullError
from standby.ids import Generation, Uid
from standby.seal import PLAIN
from standby.secret import Secret
from standby_cli import importing
from standby_cli.errors import EnrollError, InSessionError
from standby_cli.importing import Imported
from standby_cli.layout import Layout

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class UserDatabase:
    """Of one user of a platform."""

    layout: Layout
    uid: Uid

    @property
    def exists(self) -> bool:
        """Whether the user has a volume, whatever is in it."""
        return self._volumes.exists(self.uid)

    def opens(self, key: Secret) -> bool:
        try:
            return database.opens_with(self._file, key)
        except OSError:
            return False

    def check(self, key: Secret) -> None:
        """The key opens the database.

        Raises:
            EnrollError: it does not, or no key could; the text says what can be done.
        """
        ways = (
            f"restore the last copy (standby volumes restore {self.uid}), or begin with an empty database "
            "(--new-database)"
        )
        try:
            cipher.check_shape(self._file)
        except DatabaseError as error:
            lost = "is damaged" if self._file.exists() else "is gone"
            raise EnrollError(f"the database of {self.uid} {lost}: {ways}") from error
        if not self.opens(key):
            raise EnrollError(
                f"the key given with --db-key does not open the database of {self.uid}; if it is the right one the "
                f"database is damaged: {ways}"
            )

    def make(self, key: Secret, source: Path | None, tell: Tell) -> None:
        """The database of a user who has no volume.

        Raises:
            EnrollError: there is no room, or the source of its readings cannot be used.
        """
        with self._made(key, source, tell) as contents:
            FreshnessStore(self.layout.freshness, PLAIN).forget(self.uid)
            self._volumes.create(self.uid, contents)

    def copy(self, tell: Tell) -> None:
        """Keep the first copy of a database that was just made."""
        try:
            self._copies.closed(self.uid, Generation(0))
            self._copies.keep(self.uid, lambda: None)
        except VolumeError as error:  # a wrapper makes it when it starts again
            tell(f"note: the new volume has no copy yet: {error}")

    def renew(self, key: Secret, source: Path | None, tell: Tell) -> None:
        """A new database in place of what is in the user's volume.

        Raises:
            EnrollError: as `make`, or what is there cannot be kept as a copy.
            InSessionError: the user has a session.
        """
        with self._made(key, source, tell) as contents:
            try:
                replaced = self._copies.renew(self.uid, contents)
            except ClaimedElsewhereError as error:
                raise InSessionError(
                    f"{self.uid} has a session ({error}); wait for its end, or end it with the platform: "
                    "`standby down`"
                ) from error
            except VolumeError as error:
                raise EnrollError(str(error)) from error
        FreshnessStore(self.layout.freshness, PLAIN).forget(self.uid)
        tell(_renewed(self.uid, replaced))

    @contextlib.contextmanager
    def _made(self, key: Secret, source: Path | None, tell: Tell) -> Iterator[Path]:
        """A directory with a new database, until the context ends."""
        with tempfile.TemporaryDirectory(prefix=".enrolling-", dir=self.layout.root) as scratch:
            file = Path(scratch) / database.FILE_NAME
            try:
                database.create(file, key)
                imported: Imported | None = importing.fill(file, key, source) if source else None
            except StorageFullError as error:
                raise EnrollError(
                    f"there is no room for the database of {self.uid} on the file system of {self.layout.root}; make "
                    "room there"
                ) from error
            if imported:
                tell(f"{source}: {imported}")
            yield Path(scratch)

    @property
    def _file(self) -> Path:
        return self._volumes.data(self.uid) / database.FILE_NAME

    @property
    def _volumes(self) -> HostPathVolumes:
        return HostPathVolumes(self.layout.volumes)

    @property
    def _copies(self) -> HostPathCopies:
        return HostPathCopies(self.layout.copies, self._volumes)


def _renewed(uid: Uid, replaced: Copy | None) -> str:
    undo = (
        f"what it was until now is copy {replaced.number}, which its old key opens (standby volumes restore {uid} "
        f"--copy {replaced.number})"
        if replaced
        else "there was nothing to keep"
    )
    return (
        f"{uid} has an empty database now; {undo}; a client that logged in before needs --accept-older-data once, and "
        "the key if that is new"
    )
