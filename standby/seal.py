"""The seam for encryption at rest: what `close` returns is written to a disk, and `open` gets it back.

`attestation.sealing` encrypts; `PLAIN` does not, and then a file's mode is all that protects what is in it.
"""

from typing import Final, Protocol


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
