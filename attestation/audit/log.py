"""The one writer of a log."""

import fcntl
import filecmp
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from attestation.audit.entries import (
    EMPTY,
    KEY_FILE,
    LOG_FILE,
    LONGEST_LINE,
    Boundary,
    Edge,
    Entry,
    Head,
    Line,
    Outcome,
    WrongEntryError,
    edge_of,
    hash_of,
    read_line,
    read_public_key,
    signer_of,
    to_be_signed,
)
from attestation.audit.segments import name_of, segments
from standby import durable
from standby.errors import PlatformError
from standby.logs import EventLog

SEGMENT: Final = 16 * 2**20
"""Bytes after which a segment is closed; some 16,000 verdicts."""
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
log = EventLog(__name__)


class AuditError(PlatformError):
    """The log cannot be written, so nothing that has to be in it may be done."""

    code = "audit_log_unusable"
    status = 503


class AuditLog:
    """The one writer of a log. Threads may share it; another process is kept out by a lock on the directory."""

    def __init__(
        self,
        directory: Path,
        lock: int,
        key: Ed25519PrivateKey,
        segment: int,
        clock: Callable[[], float],
    ) -> None:
        """`lock`: descriptor of the directory, locked.

        Raises:
            As `open`.
        """
        self._directory = directory
        self._lock = lock
        self._key = key
        self._signer = signer_of(key.public_key())
        self._segment = segment
        self._clock = clock
        self._one_at_a_time = threading.Lock()
        self._descriptor = os.open(directory / LOG_FILE, _FLAGS, 0o600)
        try:
            self._head, self._end, self._closed = _last(self._descriptor, key.public_key())
        except BaseException:
            os.close(self._descriptor)
            raise

    @classmethod
    def open(
        cls,
        directory: Path,
        key: Ed25519PrivateKey,
        clock: Callable[[], float] = time.time,
        *,
        segment: int = SEGMENT,
    ) -> Self:
        """Go on with the log in `directory`, or begin one there; a segment of `segment` bytes is closed.

        Only the last entry is checked; the whole log is checked by `verify`.

        Raises:
            AuditError: another process writes it, it is another signer's, or its last entry is not what was written.
        """
        lock = None
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _keep_public_key(directory, key.public_key())
            _check_present(directory)
            return cls(directory, lock, key, segment, clock)
        except (OSError, ValueError, WrongEntryError, AuditError) as error:
            if lock is not None:
                os.close(lock)
            raise _unusable(directory, error) from error

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
                if self._closed or self._end >= self._segment:
                    self._begin_segment()
                self._write(body)
            except OSError as error:
                raise AuditError(f"the audit log cannot be written: {error}") from error
            return self._head

    def _begin_segment(self) -> None:
        """Close the present segment and begin another one; what a crash leaves unfinished is done by the next call."""
        if not self._closed:
            self._write(Boundary(Edge.CLOSED))
            self._closed = True
        closed = self._name_segment()
        line, head = self._line(Boundary(Edge.BEGUN), 0)
        durable.replace(self._directory / LOG_FILE, line)
        descriptor = os.open(self._directory / LOG_FILE, _FLAGS, 0o600)
        os.close(self._descriptor)
        self._descriptor, self._head, self._end, self._closed = descriptor, head, len(line), False
        log.info("audit_segment_closed", file=str(closed), head=str(head))

    def _name_segment(self) -> Path:
        """Give the closed segment its own name, so that another one can have the log's."""
        closed = self._directory / name_of(self._head.sequence)
        try:
            os.link(self._directory / LOG_FILE, closed)
        except (
            FileExistsError
        ):  # named before a crash; in a log that was copied since it is another inode
            mine = os.path.samestat(closed.stat(), os.fstat(self._descriptor))
            if not mine and not filecmp.cmp(closed, self._directory / LOG_FILE, shallow=False):
                raise AuditError(f"{closed} is another file: move it away") from None
        durable.sync(self._directory)
        return closed

    def _write(self, body: object) -> None:
        unfinished = os.fstat(self._descriptor).st_size - self._end
        line, head = self._line(body, unfinished)
        _write_at(self._descriptor, line, self._end)
        if unfinished > len(line):
            os.ftruncate(self._descriptor, self._end + len(line))
        os.fsync(self._descriptor)
        self._head, self._end = head, self._end + len(line)

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
        os.close(self._lock)
        self._descriptor = self._lock = -1

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


def _check_present(directory: Path) -> None:
    found = segments(directory)
    if found and found[-1].name != LOG_FILE:
        raise AuditError(f"{LOG_FILE} is missing, which goes on after {found[-1].name}")


def _write_at(descriptor: int, line: bytes, place: int) -> None:
    written = 0
    while written < len(line):
        written += os.pwrite(descriptor, line[written:], place + written)


def _last(descriptor: int, key: Ed25519PublicKey) -> tuple[Head, int, bool]:
    """The head, where the last finished line ends, and whether it closes the segment."""
    size = os.fstat(descriptor).st_size
    start = max(0, size - 2 * LONGEST_LINE)
    tail = os.pread(descriptor, size - start, start)
    end = tail.rfind(b"\n") + 1
    if end == 0 and start == 0:
        return EMPTY, 0, False
    before = tail.rfind(b"\n", 0, max(0, end - 1)) + 1
    entry, head = read_line(tail[before:end], key)
    edge = edge_of(entry)
    if start + before == 0 and entry.sequence != 1 and edge is not Edge.BEGUN:
        raise WrongEntryError(Outcome.MISSING, f"is the first, but entry {entry.sequence}")
    return head, start + end, edge is Edge.CLOSED
