"""Secrets as a type of their own: they never show in a repr, a log line or an error text.

The bytes live in one mutable buffer that `wipe` overwrites. What Python or a library copied before (a decoded JSON
string, for instance) is outside its reach; `docs/explanation/threat-model.md` says so.
"""

import hmac
from typing import Self


class Secret:
    """Bytes that nobody prints."""

    __slots__ = ("_buffer",)

    def __init__(self, value: bytes | bytearray) -> None:
        self._buffer = bytearray(value)

    @classmethod
    def from_hex(cls, text: str, size: int) -> Self:
        """The secret of `size` bytes written as hex digits.

        Raises:
            ValueError: other characters or another length; the message does not quote the text.
        """
        try:
            value = bytearray.fromhex(text)
        except ValueError:
            value = bytearray()
        if len(text) != 2 * size or len(value) != size:
            raise ValueError(f"expected {2 * size} hex digits")
        return cls(value)

    def reveal(self) -> bytearray:
        """The buffer itself, not a copy: hand it to a library, do not keep it."""
        return self._buffer

    def wipe(self) -> None:
        self._buffer[:] = bytes(len(self._buffer))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._buffer, other._buffer)

    __hash__ = None  # type: ignore[assignment]  # mutable, and a hash of a secret leaks

    def __len__(self) -> int:
        return len(self._buffer)

    def __repr__(self) -> str:
        return "<secret>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)
