"""Volumes as directories of this machine: `volumes_dir/<uid>/` (its files are described in `record`).

The claim is a lock that ends with the wrapper's process, and a record that does not. A free lock with a record means
that the wrapper died while it held the volume; its server dies with it, and the record's pid and start time let the
next one make sure of that.

Invariant: what is in a volume belongs to root, where the wrapper is root, or to the uid that its record names. So the
record is written before the data is given to a server's uid, and emptied after it was taken back; whatever dies in
between leaves a record by which the next claim takes it back.

Not promised: wrappers that share `volumes_dir` from different pid namespaces cannot see each other's servers, so they
rely on the kernel alone to end a dead wrapper's servers at once. Directories of several machines (NFS) are not meant.

Rejected: a lease with an expiry, because it needs clocks and lets a stopped holder write after it ran out.
"""

import contextlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from app_wrapper import server_uids
from app_wrapper.volumes import (
    ClaimedElsewhereError,
    Holder,
    StaleReleaseError,
    UnknownUserError,
    VolumeError,
    VolumeExistsError,
    VolumeInfo,
    VolumeUnavailableError,
    orphans,
    record,
)
from app_wrapper.volumes.data import Contents, Directory
from app_wrapper.volumes.record import ClaimRecord
from standby import deadlines, durable
from standby.errors import words
from standby.ids import Generation, InvalidIdError, Uid, WrapperId, parse_uid
from standby.lines import Volume
from standby.logs import EventLog

log = EventLog(__name__)
EndOrphan = Callable[[int, int, float], bool]


@dataclass(frozen=True, slots=True)
class _Held:
    """A claim of this provider."""

    generation: Generation
    descriptor: int
    """Of the locked claim file."""
    server_uid: int | None


class HostPathVolumes:
    """The provider; its calls may come from any thread."""

    def __init__(
        self,
        root: Path,
        *,
        contents: Contents | None = None,
        orphan_deadline: float = deadlines.ORPHAN_END,
        end_orphan: EndOrphan = orphans.end,
    ) -> None:
        """`contents`: what the application keeps in a volume; None: a directory of the server's own."""
        self._root = root.absolute()
        self._contents: Contents = contents or Directory()
        self._orphan_deadline = orphan_deadline
        self._end_orphan = end_orphan
        self._machine = orphans.machine()
        self._held: dict[Uid, _Held] = {}
        self._held_lock = threading.Lock()

    def data(self, uid: Uid) -> Path:
        """The directory a server of that user gets."""
        return self._root / uid / record.DATA

    def exists(self, uid: Uid) -> bool:
        return (self._root / uid).is_dir()

    def create(self, uid: Uid, contents: Path | None = None) -> Path:
        """Make a volume, empty or with a copy of the directory `contents`; returns its data directory.

        The volume appears as a whole, durably, or not at all.

        Raises:
            VolumeExistsError: the user has one.
        """
        if not self._root.is_dir():
            server_uids.make_passage(self._root)
        scratch = Path(tempfile.mkdtemp(prefix=".new-", dir=self._root))
        try:
            _fill(scratch, contents)
            os.rename(scratch, self._root / uid)  # noqa: PTH104  # refuses a directory that is not empty
        except OSError as error:
            shutil.rmtree(scratch, ignore_errors=True)
            if self.exists(uid):
                raise VolumeExistsError(f"{uid} has a volume already") from error
            raise
        durable.sync(self._root)
        return self.data(uid)

    def claim(self, uid: Uid, holder: Holder) -> Volume:
        with _translated(uid):
            descriptor = self._lock(uid)
            try:
                generation = self._take(uid, descriptor, holder)
            except BaseException:
                record.unlock(descriptor)
                raise
        with self._held_lock:
            self._held[uid] = _Held(generation, descriptor, holder.server_uid)
        return Volume(str(self.data(uid)), generation)

    def release(self, uid: Uid, generation: Generation) -> None:
        with self._held_lock:
            held = self._held.get(uid)
            if held is None or held.generation != generation:
                raise StaleReleaseError(
                    f"generation {generation} of {uid} is not the present claim; nothing was changed"
                )
            del self._held[uid]
        try:
            with _translated(uid):
                self._give_back(uid, held.descriptor, held.server_uid)
        finally:
            record.unlock(held.descriptor)

    def recover(self, wrapper_id: WrapperId) -> list[Uid]:
        mine = (
            info for info in self.list() if info.holder and info.holder.wrapper_id == wrapper_id
        )
        return [info.uid for info in mine if self._recover_one(info.uid)]

    def list(self) -> list[VolumeInfo]:
        found = []
        for directory in sorted(self._root.iterdir()) if self._root.is_dir() else ():
            with contextlib.suppress(InvalidIdError, OSError, VolumeUnavailableError):
                found.append(_info(parse_uid(directory.name), directory))
        return found

    def info(self, uid: Uid) -> VolumeInfo:
        """How the user's volume is now.

        Raises:
            OSError, VolumeUnavailableError: it cannot be read.
        """
        return _info(uid, self._root / uid)

    @contextlib.contextmanager
    def replaceable(self, uid: Uid) -> Iterator[Path]:
        """The volume's directory, which nobody can claim while the context lasts; afterwards nobody holds it.

        Its data may still be a former server's, if that left in it what cannot be taken back.

        Raises:
            UnknownUserError, ClaimedElsewhereError, VolumeUnavailableError: it cannot be had.
        """
        with _translated(uid):
            descriptor = self._lock(uid)
            try:
                left = record.read_claim(descriptor)
                if left is not None:
                    self._make_sure_of(uid, left)
                    with contextlib.suppress(OSError, VolumeError):
                        self._take_back(uid, left.server_uid)
                yield self._root / uid
                record.write_claim(descriptor, None)
            finally:
                record.unlock(descriptor)

    def close(self) -> None:
        with self._held_lock:
            for held in self._held.values():
                record.unlock(held.descriptor)
            self._held.clear()

    def _lock(self, uid: Uid) -> int:
        directory = self._root / uid
        try:
            descriptor = record.lock(directory)
        except FileNotFoundError:
            raise UnknownUserError(f"there is no volume of {uid}; enroll the user first") from None
        if descriptor is None:
            raise _claimed(uid, _info(uid, directory).holder)
        return descriptor

    def _take(self, uid: Uid, descriptor: int, holder: Holder) -> Generation:
        """Write the claim into the locked volume: generation first, so that no crash can make it repeat."""
        directory = self._root / uid
        left = record.read_claim(descriptor)
        if left is not None:
            self._make_sure_of(uid, left)
            self._take_back(uid, left.server_uid)
        self._contents.check(directory / record.DATA, given=holder.server_uid is not None)
        last = max(record.read_generation(directory), left.generation if left else 0)
        generation = record.following(last)
        record.write_generation(directory, generation)
        fresh = ClaimRecord(
            wrapper_id=holder.wrapper_id,
            epoch=holder.epoch,
            boot_id=holder.boot_id,
            pid=holder.pid,
            start_time=holder.start_time,
            server_uid=holder.server_uid,
            generation=generation,
            machine=self._machine,
        )
        record.write_claim(descriptor, fresh)
        if holder.server_uid is not None:
            self._give(uid, descriptor, holder.server_uid)
        return generation

    def _give(self, uid: Uid, descriptor: int, server_uid: int) -> None:
        """To the server's uid, or what was given is taken back; if that fails too, its record stays."""
        try:
            self._contents.give(self.data(uid), server_uid)
            record.open_door(self._root / uid, server_uid)
        except BaseException:
            self._give_back(uid, descriptor, server_uid)
            raise

    def _give_back(self, uid: Uid, descriptor: int, server_uid: int | None) -> None:
        """End a claim: first the data is root's again, then nobody holds it."""
        self._take_back(uid, server_uid)
        record.write_claim(descriptor, None)

    def _take_back(self, uid: Uid, server_uid: int | None) -> None:
        if server_uid is not None:
            record.shut_door(self._root / uid)
            self._contents.take_back(self.data(uid), server_uid)

    def _make_sure_of(self, uid: Uid, left: ClaimRecord) -> None:
        """The wrapper of this claim is dead: make sure that its server is, too."""
        known = left.machine == self._machine and left.pid is not None
        if known and not self._end_orphan(
            left.pid or 0, left.start_time or 0, self._orphan_deadline
        ):
            raise VolumeUnavailableError(
                f"the server that last held {uid} (pid {left.pid}) cannot be ended"
            )
        log.info("claim_recovered", uid=uid, boot_id=left.boot_id, generation=left.generation)

    def _recover_one(self, uid: Uid) -> bool:
        try:
            with _translated(uid):
                descriptor = self._lock(uid)
                try:
                    left = record.read_claim(descriptor)
                    if left is not None:
                        self._make_sure_of(uid, left)
                        self._give_back(uid, descriptor, left.server_uid)
                finally:
                    record.unlock(descriptor)
        except VolumeError as error:
            log.warning("claim_not_recovered", uid=uid, text=str(error))
            return False
        return left is not None


@contextlib.contextmanager
def _translated(uid: Uid) -> Iterator[None]:
    """An error of the system, for the user; the log names the file, and is the operator's."""
    try:
        yield
    except OSError as error:
        log.error("volume_not_usable", uid=uid, text=words(error))
        raise VolumeUnavailableError(
            f"the volume of {uid} cannot be used now: {words(error, named=False)}"
        ) from error


def _claimed(uid: Uid, holder: Holder | None) -> ClaimedElsewhereError:
    if holder is None:
        return ClaimedElsewhereError(f"the volume of {uid} is being claimed; come again")
    return ClaimedElsewhereError(
        f"the volume of {uid} is held by server process {holder.boot_id}; come again",
        holder.boot_id,
    )


def _info(uid: Uid, directory: Path) -> VolumeInfo:
    descriptor = os.open(directory / record.CLAIM, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return VolumeInfo(uid, record.read_generation(directory), record.read_claim(descriptor))
    finally:
        os.close(descriptor)


def _fill(directory: Path, contents: Path | None) -> None:
    """All files of a new volume, on disk before the volume has its name."""
    data = directory / record.DATA
    if contents is None:
        data.mkdir(mode=0o700)
    else:
        shutil.copytree(contents, data, symlinks=True)
        data.chmod(0o700)
        for path in data.rglob("*"):
            durable.sync(path)
    durable.sync(data)
    durable.write(directory / record.CLAIM, b"\n")
    durable.write(directory / record.GENERATION, b"0\n")
    durable.sync(directory)
