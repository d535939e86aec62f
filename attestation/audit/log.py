"""The one writer of a log."""

import fcntl
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from attestation.audit.entries import (
    EMPTY,
    KEY_FILE,
    LOG_FILE,
    LONGEST_LINE,
    Entry,
    Head,
    Line,
    Outcome,
    WrongEntryError,
    hash_of,
    read_line,
    read_public_key,
    signer_of,
    to_be_signed,
)
from standby import durable
from standby.errors import PlatformError


class AuditError(PlatformError):
    """The log cannot be written, so nothing that has to be in it may be done."""

    code = "audit_log_unusable"
    status = 503


class AuditLog:
    """The one writer of a log. Threads may share it; another process is kept out by a lock on the file."""

    def __init__(
        self,
        descriptor: int,
        key: Ed25519PrivateKey,
        head: Head,
        end: int,
        clock: Callable[[], float],
    ) -> None:
        """`end`: where the next entry begins."""
        self._descriptor = descriptor
        self._key = key
        self._signer = signer_of(key.public_key())
        self._head = head
        self._end = end
        self._clock = clock
        self._one_at_a_time = threading.Lock()

    @classmethod
    def open(
        cls, directory: Path, key: Ed25519PrivateKey, clock: Callable[[], float] = time.time
    ) -> Self:
        """Go on with the log in `directory`, or begin one there.

        Only the last entry is checked; the whole log is checked by `verify`.

        Raises:
            AuditError: another process writes it, it is another signer's, or its last entry is not what was written.
        """
        descriptor = None
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            descriptor = os.open(directory / LOG_FILE, flags, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _keep_public_key(directory, key.public_key())
            head, end = _last(descriptor, key.public_key())
        except (OSError, ValueError, WrongEntryError, AuditError) as error:
            if descriptor is not None:
                os.close(descriptor)
            raise _unusable(directory, error) from error
        return cls(descriptor, key, head, end, clock)

    @property
    def head(self) -> Head:
        return self._head

    def append(self, body: object) -> Head:
        """Write an entry with this body (anything msgspec can encode); it is on disk when the call returns.

        Blocks for as long as the disk takes: some milliseconds.

        Raises:
            AuditError: it could not be written. The log is as before and the next call tries again.
        """
        with self._one_at_a_time:
            try:
                unfinished = os.fstat(self._descriptor).st_size - self._end
                line, head = self._line(body, unfinished)
                _write_at(self._descriptor, line, self._end)
                if unfinished > len(line):
                    os.ftruncate(self._descriptor, self._end + len(line))
                os.fsync(self._descriptor)
            except OSError as error:
                raise AuditError(f"the audit log cannot be written: {error}") from error
            self._head, self._end = head, self._end + len(line)
            return head

    def _line(self, body: object, unfinished: int) -> tuple[bytes, Head]:
        entry = Entry(
            sequence=self._head.sequence + 1,
            previous=self._head.hash,
            at=self._clock(),
            signer=self._signer,
            cut=unfinished,
            body=msgspec.Raw(msgspec.json.encode(body)),
        )
        text = msgspec.json.encode(entry)
        digest = hash_of(text)
        signature = self._key.sign(to_be_signed(digest)).hex()
        line = msgspec.json.encode(Line(msgspec.Raw(text), digest.hex(), signature)) + b"\n"
        if len(line) > LONGEST_LINE:
            raise AuditError(f"an entry of {len(line)} bytes is too long, {LONGEST_LINE} are meant")
        return line, Head(entry.sequence, digest.hex())

    def close(self) -> None:
        os.close(self._descriptor)
        self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _unusable(directory: Path, error: Exception) -> AuditError:
    if isinstance(error, BlockingIOError):
        return AuditError(f"the audit log in {directory} is being written by another process")
    if isinstance(error, OSError):
        return AuditError(f"the audit log in {directory} cannot be opened: {error}")
    what = f"its last line {error}" if isinstance(error, WrongEntryError) else error
    return AuditError(
        f"the audit log in {directory} cannot be continued: {what}; look at it with"
        " `standby audit verify`, then move it away to begin another one"
    )


def _keep_public_key(directory: Path, key: Ed25519PublicKey) -> None:
    file = directory / KEY_FILE
    if not file.exists():
        pem = key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        durable.replace(file, pem)
        durable.sync(directory.parent)
    elif read_public_key(file) != key:
        raise AuditError(f"{file} is the key of another signer")


def _write_at(descriptor: int, line: bytes, place: int) -> None:
    written = 0
    while written < len(line):
        written += os.pwrite(descriptor, line[written:], place + written)


def _last(descriptor: int, key: Ed25519PublicKey) -> tuple[Head, int]:
    """The head, and where the last finished line ends."""
    size = os.fstat(descriptor).st_size
    start = max(0, size - 2 * LONGEST_LINE)
    tail = os.pread(descriptor, size - start, start)
    end = tail.rfind(b"\n") + 1
    if end == 0 and start == 0:
        return EMPTY, 0
    before = tail.rfind(b"\n", 0, max(0, end - 1)) + 1
    entry, head = read_line(tail[before:end], key)
    if start + before == 0 and entry.sequence != 1:
        raise WrongEntryError(Outcome.MISSING, f"is the first, but entry {entry.sequence}")
    return head, start + end
