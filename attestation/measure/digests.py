"""Digests of files that are not read again while the kernel says that they are the same.

A digest is kept under device, inode, size, time of modification and time of change (ctime). Programs can set the first
of the two times, and none can set the second but by setting the clock; so a file whose content was changed and whose
times were put back is read again, and so is one that another was renamed to, and another target of a link. A file
changed in the last two seconds is read each time: times have a granularity, and a second write right after the first
could leave the same one. So is a file of the future.

It does not protect against who can write to the block device below the file system, set the clock, or mount a file
system that says what it likes; and not against who holds a writable mapping of the file: of several writes through one
only the first need change the times, until the kernel writes the page back (on tmpfs it never does). All of these are
the host's means, or those of who could write the file while it was being trusted; a first measurement sees what they
did before it.

Whoever can write kept digests decides what is measured, and what wrote to the disk while the machine was off need not
have told this kernel's clock. So they are kept sealed, until the machine boots again (`app_wrapper.measuring.store`).
"""

import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterable
from typing import Final

from attestation.measure.errors import ChangedError, IrregularFileError, UnreadableError
from attestation.measure.seen import CTIME, MTIME, Key, key_of

SETTLED: Final = 2_000_000_000
"""Nanoseconds after which the next write to a file has another time for sure."""
CAPACITY: Final = 400_000
"""Digests kept, about 100 MB; more are of files that are gone, and all are forgotten."""


class DigestCache:
    """The digests of one who measures; not for several threads at once."""

    def __init__(self, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._now_ns = now_ns
        self._digests: dict[Key, str] = {}
        self.read = 0
        """Files whose content was read."""

    def digest(self, path: str, key: Key) -> str:
        """SHA-256 of a file's content in hex; `key` is what the caller's stat said just now.

        Raises:
            UnreadableError: it cannot be opened or read.
            IrregularFileError: it is no regular file.
            ChangedError: it was written meanwhile.
        """
        return self._digests.get(key) or self._read(path, key)

    def known(self, key: Key) -> bool:
        """Whether a file with this key need not be read."""
        return key in self._digests

    def settled(self, key: Key) -> bool:
        """Whether the next change, from now on, gives what has this key another one."""
        return self._now_ns() - max(key[MTIME], key[CTIME]) >= SETTLED

    def _read(self, path: str, key: Key) -> str:
        settled = self.settled(key)
        try:
            # without O_NONBLOCK a pipe would be waited for
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb", buffering=0) as stream:
                before = os.fstat(descriptor)
                if not stat.S_ISREG(before.st_mode):
                    raise IrregularFileError(f"{path} is no regular file; take it away")
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
                after = os.fstat(descriptor)
        except OSError as error:
            raise UnreadableError(f"cannot measure {path}: {error.strerror}") from error
        if not key == key_of(before) == key_of(after):
            raise ChangedError(f"{path} was written while it was read; measure again")
        self.read += 1
        if settled:
            self._keep(key, digest)
        return digest

    def _keep(self, key: Key, digest: str) -> None:
        if len(self._digests) >= CAPACITY:
            self._digests.clear()
        self._digests[key] = digest

    def kept(self) -> list[tuple[Key, str]]:
        """Every digest, for a process that measures after this one."""
        return list(self._digests.items())

    def take(self, kept: Iterable[tuple[Key, str]]) -> None:
        """Believe digests that another process kept."""
        self._digests.update(kept)
