"""What was measured of a launch, kept sealed on the disk for the next process that measures the same launch.

Measuring takes three seconds of a processor: an interpreter compiles all that servers import, and each file is read.
What a process knows afterwards of files that do not change (`meter`) is as good in another process. A record is
believed only

    - if the seal opens it: who has the key can open the platform's issuing keys as well;
    - until the machine boots again: what wrote to the disk in between need not have told this kernel's clock;
    - for the same question to the interpreter;
    - while nothing that was looked at has changed since, by times that no program can set;
    - if the files have the measurement that they had, and the bytecode is what it was.

Else everything is made anew, as if nothing had been kept. So a record saves time and decides nothing: an older one, or
one of another platform with the same key, is of use only where it is right.

Not promised: anything against who has the seal's key, or against what `attestation.measure.digests` and `meter` do not
notice within one process.
"""

import contextlib
import shutil
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct

from app_wrapper.measuring import bytecode
from app_wrapper.measuring.launch import Question
from app_wrapper.measuring.made import Made, Subject
from attestation.measure.digests import DigestCache
from attestation.measure.errors import MeasureError
from attestation.measure.interpreter import Interpreter
from attestation.measure.manifest import Entry
from attestation.measure.seen import Key
from standby import decode, durable
from standby.seal import Seal

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
_RECORD: Final = "record"
_BYTECODE: Final = "bytecode"


class Record(Struct, frozen=True, kw_only=True):
    """All of one measurement. It says itself what it is, since a seal does not."""

    kind: Literal["measured launch, version 1"] = "measured launch, version 1"
    boot_id: str
    question: Question
    answer: Interpreter
    measurement: str
    surroundings: dict[str, Key | None]
    bytecode: tuple[Entry, ...]
    """What was in the directory that the interpreter filled."""
    before: int
    """As of `Made`."""
    digests: list[tuple[Key, str]]


class Store:
    """A directory of the platform's own; one process writes it, others read."""

    def __init__(self, directory: Path, seal: Seal) -> None:
        self._file = directory / _RECORD
        self._seal = seal
        self.bytecode = directory / _BYTECODE
        """The directory that belongs to the record."""

    def keep(self, made: Made, subject: Subject, digests: DigestCache) -> None:
        """Keep it, if that is possible; without it measuring takes longer, and nothing else is lost."""
        record = Record(
            boot_id=_boot_id(),
            question=subject.key(),
            answer=made.answer,
            measurement=made.measurement,
            surroundings=made.surroundings,
            bytecode=made.guard.entries if made.guard else (),
            before=made.before,
            digests=digests.kept(),
        )
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            durable.replace(self._file, self._seal.close(msgspec.json.encode(record)))

    def recall(self, subject: Subject, digests: DigestCache) -> Made | None:
        """What is kept, with the bytecode in the subject's own directory; None if it does not hold.

        The caller looks whether anything has changed since it was made.
        """
        try:
            record = decode.json(self._seal.open(self._file.read_bytes()), Record)
            if record.boot_id != _boot_id():
                return None
            digests.take(record.digests)  # true of files, whatever the question
            if record.question != subject.key():
                return None
            if subject.bytecode not in {None, self.bytecode}:
                bytecode.empty(subject.bytecode)
                shutil.copytree(self.bytecode, subject.bytecode, symlinks=True, dirs_exist_ok=True)
            made = subject.made(record.answer, record.before, digests)
        except (OSError, ValueError, MeasureError):
            return None
        compiled = made.guard.entries if made.guard else ()
        found = made.measurement, made.surroundings, compiled
        return made if found == (record.measurement, record.surroundings, record.bytecode) else None


def _boot_id() -> str:
    """Of the machine's present run."""
    return _BOOT.read_text("ascii").strip()
