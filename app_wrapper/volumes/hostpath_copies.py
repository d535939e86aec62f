"""Copies of volumes that are directories of this machine, closed to servers; `copy_files` describes their files.

A copy is made while nobody has the volume, without a lock on it, so it keeps no user waiting: if the generation is the
same before and after the files were read, nobody was given them meanwhile, and else the copy is thrown away.

To restore a copy, its files are copied into the volume and exchanged with the data in one step of the file system, all
under the claim's lock. The copies of what was replaced and of what has replaced it are made before.
"""

import contextlib
import ctypes
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from app_wrapper.volumes import (
    UnknownUserError,
    VolumeUnavailableError,
    copy_files,
    record,
    retention,
    trees,
)
from app_wrapper.volumes.copies import (
    Between,
    Copy,
    Kept,
    NoSuchCopyError,
    NotCopiedError,
    Restored,
)
from app_wrapper.volumes.copy_files import CopyRecord
from app_wrapper.volumes.hostpath import HostPathVolumes
from app_wrapper.volumes.trees import Tree
from standby import deadlines, durable
from standby.ids import Generation, Uid
from standby.logs import EventLog

_RESTORED: Final = ".restored"
"""In the volume: what is about to be its data, or was until now."""
_PRIVATE: Final = 0o700
_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2
_libc = ctypes.CDLL(None, use_errno=True)
log = EventLog(__name__)


class _ClaimedError(Exception):
    """The user has logged in meanwhile."""


class HostPathCopies:
    """The provider; its calls may come from any thread and process."""

    def __init__(
        self,
        root: Path,
        volumes: HostPathVolumes,
        *,
        newest: int = retention.NEWEST,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`newest`: how many are kept in any case."""
        self._root = root.absolute()
        self._volumes = volumes
        self._newest = newest
        self._clock = clock

    def closed(self, uid: Uid, generation: Generation) -> None:
        with _translated(uid):
            copy_files.mark_due(self._root / uid, generation)

    def due(self) -> list[Uid]:
        volumes = (info.uid for info in self._volumes.list())
        return [uid for uid in volumes if _is_due(self._root / uid)]

    def keep(self, uid: Uid, between: Between) -> Kept:
        place = self._root / uid
        with _translated(uid), copy_files.locked(place):
            if not _is_due(place):
                return Kept.UNCHANGED
            outcome, last = self._keep(uid, place, between)
            copy_files.no_more_due(place, last)
            if outcome is not Kept.GIVEN_UP:
                shown = self.list(uid)
                copy_files.keep_only(place, retention.kept(shown, self._newest, self._clock()))
            return outcome

    def list(self, uid: Uid) -> list[Copy]:
        found = copy_files.records(self._root / uid)
        return [each.shown(number) for number, each in found.items()]

    def restore(self, uid: Uid, number: int | None = None, *, discard: bool = False) -> Restored:
        place = self._root / uid
        with self._replaceable(uid) as volume:
            generation = self._volumes.info(uid).generation
            present = None if discard else _look(uid, volume / record.DATA)
            same = _same_as_newest(place, volume / record.DATA, present)
            source = _chosen(uid, number, self.list(uid), same)
            replaced = same or self._keep_replaced(place, volume, present, generation)
            kept = place / str(source.number) / copy_files.DATA
            self._exchange(place, volume, kept, generation, restored=source.number)
        log.warning("volume_restored", uid=uid, copy=source.number, generation=generation)
        return Restored(source, replaced, tuple(present.skipped) if present else ())

    def renew(self, uid: Uid, contents: Path) -> Copy | None:
        place = self._root / uid
        with self._replaceable(uid) as volume:
            generation = self._volumes.info(uid).generation
            present = _look(uid, volume / record.DATA)
            same = _same_as_newest(place, volume / record.DATA, present)
            replaced = same or self._keep_replaced(place, volume, present, generation)
            self._exchange(place, volume, contents, generation)
        log.warning("volume_renewed", uid=uid, generation=generation)
        return replaced

    @contextlib.contextmanager
    def _replaceable(self, uid: Uid) -> Iterator[Path]:
        """The volume's directory, whose data may be exchanged while the context lasts; then no copy is due."""
        if not self._volumes.exists(uid):
            raise UnknownUserError(f"there is no volume of {uid}; enroll the user first")
        place = self._root / uid
        with _translated(uid):
            self._check_account(uid)
        with (
            _translated(uid),
            copy_files.locked(place, deadlines.COPY_UNDER_WAY),
            self._volumes.replaceable(uid) as volume,
        ):
            yield volume
            copy_files.no_more_due(place, self._volumes.info(uid).generation)

    def _keep_replaced(
        self, place: Path, volume: Path, present: Tree | None, generation: Generation
    ) -> Copy | None:
        """A copy of what is about to be replaced; None: it is not wanted, or there is nothing."""
        if present is None or not present.bytes:
            return None
        made = self._record(present, generation, replaced=True)
        return copy_files.add(place, volume / record.DATA, present, made, _go_on)

    def _keep(self, uid: Uid, place: Path, between: Between) -> tuple[Kept, int]:
        """What came of it, and the last generation of which no copy is due any more."""
        before = self._volumes.info(uid)
        generation = before.generation
        latest = max(copy_files.due(place), default=generation)
        if before.holder is not None or latest != generation:
            return Kept.GIVEN_UP, generation - 1  # the claim of this generation may end just now
        data = self._volumes.data(uid)
        tree = trees.survey(data)
        if tree.skipped:
            raise NotCopiedError(
                f"{tree.skipped[0]!a} in it is a link, a file with several names, or the like"
            )
        if tree.bytes == 0 or tree.files == copy_files.newest_files(place):
            return Kept.UNCHANGED, generation

        def checked() -> None:
            if self._volumes.info(uid).generation != generation:
                raise _ClaimedError
            between()

        try:
            copy_files.add(place, data, tree, self._record(tree, generation), checked)
        except _ClaimedError:
            return Kept.GIVEN_UP, generation
        return Kept.MADE, generation

    def _exchange(
        self,
        place: Path,
        volume: Path,
        source: Path,
        generation: Generation,
        *,
        restored: int | None = None,
    ) -> None:
        """Give the volume the contents of a directory, and keep that as the newest copy; `restored`: it is that one."""
        fresh, data = volume / _RESTORED, volume / record.DATA
        copy_files.remove(fresh)
        wanted = trees.survey(source, most_files=copy_files.MOST_REPLACED)
        copy_files.check_room(place, wanted.bytes)
        trees.copy(source, wanted, fresh, _go_on)
        tree = trees.survey(fresh, most_files=copy_files.MOST_REPLACED)
        made = self._record(tree, generation, restored=restored)
        copy_files.add(place, fresh, tree, made, _go_on)
        if not os.path.lexists(data):  # a server without a uid of its own could remove it
            data.mkdir(mode=_PRIVATE)
        exchange(fresh, data)
        durable.sync(volume)
        copy_files.remove(fresh)

    def _record(
        self,
        tree: Tree,
        generation: Generation,
        *,
        restored: int | None = None,
        replaced: bool = False,
    ) -> CopyRecord:
        """Of a copy of this, made now."""
        return CopyRecord(
            generation=generation,
            taken=self._clock(),
            bytes=tree.bytes,
            files=tree.files if len(tree.files) <= trees.MOST_FILES else [],
            restored=restored,
            replaced=replaced,
        )

    def _check_account(self, uid: Uid) -> None:
        """What this process makes must be the wrapper's, as the volume is; looked at before anything is made."""
        owner = self._volumes.data(uid).parent.stat().st_uid
        if owner != os.geteuid():
            raise VolumeUnavailableError(
                f"the volume of {uid} belongs to uid {owner}; restore it as the account that runs the platform"
            )


def exchange(one: Path, other: Path) -> None:
    """Two files or directories of one file system change places, in one step."""
    names = os.fsencode(one), os.fsencode(other)
    if _libc.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(one), None, str(other))


def _go_on() -> None:
    """Nobody is to be waited for, and nothing ends it."""


def _is_due(place: Path) -> bool:
    return bool(copy_files.due(place)) or not copy_files.numbers(place)


def _look(uid: Uid, data: Path) -> Tree | None:
    """At what a restore is about to replace; None: there is nothing."""
    try:
        return trees.survey(data, most_files=copy_files.MOST_REPLACED)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NotCopiedError(
            f"what is in the volume of {uid} now cannot be kept ({error.strerror}); restore with --discard to lose it"
        ) from error


def _same_as_newest(place: Path, data: Path, present: Tree | None) -> Copy | None:
    """The newest copy, if the data is the same; read in whole, as a server can give a file any time of change."""
    found = copy_files.newest(place)
    if found is None or present is None or present.files != copy_files.newest_files(place):
        return None
    kept = place / str(found.number) / copy_files.DATA
    return found if trees.equal(kept, data, present) else None


def _chosen(uid: Uid, number: int | None, copies: list[Copy], same: Copy | None) -> Copy:
    if number is None:
        others = [each for each in copies if each != same]
        if not others:
            raise NoSuchCopyError(
                f"there is no copy of {uid}'s volume that differs from what it is"
            )
        return others[-1]
    for each in copies:
        if each.number == number:
            return each
    raise NoSuchCopyError(f"there is no copy {number} of {uid}'s volume")


@contextlib.contextmanager
def _translated(uid: Uid) -> Iterator[None]:
    try:
        yield
    except trees.OverBoundsError as error:
        raise NotCopiedError(f"the volume of {uid} is not copied: {error.strerror}") from error
    except BlockingIOError as error:
        raise VolumeUnavailableError(
            f"another process makes or restores a copy of {uid}'s volume; try again"
        ) from error
    except OSError as error:
        raise VolumeUnavailableError(f"the volume of {uid} cannot be copied: {error}") from error
