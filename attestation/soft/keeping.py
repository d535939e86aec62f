"""Where a simulated platform is kept between two lives of its owner: one file, whole or not at all, for one account.

`Seal` is the seam for encryption at rest: what `close` returns is written, and `open` gets it back. `Plain` encrypts
nothing, so the file's mode 0600 in a directory of mode 0700 is all that protects the keys.
"""

from pathlib import Path
from typing import Final, Protocol

from standby import durable

KEYS_FILE: Final = "simulated-platform.keys"
ROOT_FILE: Final = "simulated-root.pem"
"""The root's certificate: what verifiers pin. Everybody may read it."""


class Seal(Protocol):
    """How bytes are protected while they are on a disk."""

    def close(self, content: bytes) -> bytes: ...

    def open(self, sealed: bytes) -> bytes:
        """What was closed.

        Raises:
            ValueError: sealed by somebody else, or changed.
        """


class Plain:
    """No protection but the file's mode."""

    def close(self, content: bytes) -> bytes:
        return content

    def open(self, sealed: bytes) -> bytes:
        return sealed


PLAIN: Final = Plain()


def write(directory: Path, keys: bytes, root_pem: bytes, seal: Seal) -> None:
    """Keep a platform's keys; on disk when this returns. The directory is made if need be."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    (directory / ROOT_FILE).write_bytes(root_pem)
    durable.replace(directory / KEYS_FILE, seal.close(keys))


def read(directory: Path, seal: Seal) -> bytes:
    """The keys that were written.

    Raises:
        OSError: there are none, or they cannot be read.
        ValueError: the seal does not fit.
    """
    return seal.open((directory / KEYS_FILE).read_bytes())
