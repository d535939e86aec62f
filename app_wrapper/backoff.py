"""How long a slot waits before it tries again to start a server; pure."""

from dataclasses import dataclass
from typing import Final

_ENOUGH: Final = 32
"""Doublings after which any limit is reached; keeps the power of two small."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """`first` seconds, doubled with each further failure, never more than `most`."""

    first: float
    most: float

    def delay(self, failures: int) -> float:
        """Seconds to wait after that many failures in a row; none after none."""
        if failures <= 0:
            return 0.0
        return min(self.most, self.first * 2.0 ** min(failures - 1, _ENOUGH))
