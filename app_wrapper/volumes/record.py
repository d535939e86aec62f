"""One volume's files, and writing them so that neither a killed process nor a power loss leaves half a truth.

generation   the last generation, in decimal; replaced as a whole
claim        its first line is the holder's record in JSON, empty when nobody holds the volume; whoever holds it
             has this file locked (flock), which ends with the wrapper, however it dies. Never replaced or deleted,
             because the lock belongs to the file
data/        what the server gets
"""

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Final

import msgspec

from app_wrapper.volumes import Holder, VolumeUnavailableError
from standby import durable
from standby.ids import Generation, GenerationField

GENERATION: Final = "generation"
CLAIM: Final = "claim"
DATA: Final = "data"
_MOST: Final = 4096
"""Bytes; a record is a few hundred."""


class ClaimRecord(Holder, frozen=True, kw_only=True):
    """What the first line of `claim` says."""

    generation: GenerationField
    machine: str
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
        return msgspec.json.decode(line, type=ClaimRecord) if line else None
    except msgspec.MsgspecError as error:
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
        VolumeUnavailableError: it cannot be read; guessing could repeat one.
    """
    try:
        return Generation(int((directory / GENERATION).read_text("ascii")))
    except (OSError, ValueError) as error:
        raise VolumeUnavailableError("the volume's generation cannot be read") from error


def write_generation(directory: Path, generation: Generation) -> None:
    """Replace the generation; it is on disk when this returns."""
    durable.replace(directory / GENERATION, f"{generation}\n".encode())
