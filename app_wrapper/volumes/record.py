"""One volume's files, and writing them so that neither a killed process nor a power loss leaves half a truth.

generation   the last generation, in decimal; replaced as a whole
claim        its first line is the holder's record in JSON, empty when nobody holds the volume; whoever holds it
             has this file locked (flock), which ends with the wrapper, however it dies. Never replaced or deleted,
             because the lock belongs to the file
data/        what the server gets (`data`)

All else is root's, where the wrapper is root. The volume's directory is the door to its data: closed, or open for the
one gid that means the server's uid alone. It is closed before data is taken back, and opened after it was given.
"""

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from app_wrapper import server_uids
from app_wrapper.volumes import Holder, VolumeUnavailableError
from standby import decode, durable
from standby.decode import UnreadableError
from standby.ids import LARGEST, Generation, GenerationField, InvalidIdError, parse_number

GENERATION: Final = "generation"
CLAIM: Final = "claim"
DATA: Final = "data"
_DAMAGED: Final = (
    "the volume's file 'generation' is damaged; "
    "write a number into it that is above every generation in the logs"
)
_MOST: Final = 4096
"""Bytes; a record is a few hundred."""
_SHUT: Final = 0o700
_AJAR: Final = 0o710


class ClaimRecord(Holder, frozen=True, kw_only=True):
    """What the first line of `claim` says."""

    generation: GenerationField
    machine: Annotated[str, Meta(max_length=200)]
    """Where pid and start time mean something."""


def lock(directory: Path) -> int | None:
    """A descriptor of the volume's locked claim file, or None if somebody has it locked.

    The lock belongs to this opening of the file: another opening, by the same process too, excludes it.

    Raises:
        FileNotFoundError: there is no such volume.
    """
    descriptor = os.open(directory / CLAIM, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def unlock(descriptor: int) -> None:
    """Unlock and close. Closing alone would not unlock while a child that is just being started has a copy."""
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)


def read_claim(descriptor: int) -> ClaimRecord | None:
    """The record in an open claim file; None when nobody holds, or held, the volume.

    Raises:
        VolumeUnavailableError: it cannot be understood, so nobody knows which process to make sure of.
    """
    line = os.pread(descriptor, _MOST, 0).split(b"\n", 1)[0]
    try:
        return decode.json(line, ClaimRecord) if line else None
    except UnreadableError as error:
        raise VolumeUnavailableError(
            "the volume's claim record is damaged; empty the file 'claim' once no server of that user runs"
        ) from error


def write_claim(descriptor: int, record: ClaimRecord | None) -> None:
    """Replace the record, in one write: what follows its line end is left over and means nothing."""
    line = (msgspec.json.encode(record) if record else b"") + b"\n"
    os.pwrite(descriptor, line, 0)
    os.ftruncate(descriptor, len(line))
    os.fsync(descriptor)


def read_generation(directory: Path) -> Generation:
    """The last generation; 0 before the first claim.

    Raises:
        VolumeUnavailableError: it is damaged; guessing could repeat one.
        OSError: it cannot be read now.
    """
    text = (directory / GENERATION).read_bytes()[:_MOST].decode("ascii", "replace").strip()
    try:
        return Generation(parse_number(text))
    except InvalidIdError as error:
        raise VolumeUnavailableError(f"{_DAMAGED} ({error})") from error


def following(last: int) -> Generation:
    """The generation of the next claim.

    Raises:
        VolumeUnavailableError: there is none above `last`.
    """
    if last >= LARGEST:
        raise VolumeUnavailableError(f"{_DAMAGED} ({last} cannot have been counted)")
    return Generation(last + 1)


def write_generation(directory: Path, generation: Generation) -> None:
    """Replace the generation; it is on disk when this returns."""
    durable.replace(directory / GENERATION, f"{generation}\n".encode())


def open_door(directory: Path, server_uid: int) -> None:
    """That uid, by its gid, comes to what is in the volume."""
    _door(directory, server_uid, _AJAR)


def shut_door(directory: Path) -> None:
    """Nobody but root comes to what is in the volume."""
    _door(directory, server_uids.ROOT, _SHUT)


def _door(directory: Path, gid: int, mode: int) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchown(descriptor, server_uids.ROOT, gid)
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)
