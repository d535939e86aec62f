"""What is measured of each part, in which unit, and how much more of it at the end is not called growth.

The allowance covers what fills up once and then stays: an allocator's free lists, caches up to their bound, a pool of
connections. It is for the whole judged time, however long that is, so a longer run finds a slower leak.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Figure(StrEnum):
    MEMORY = "memory"
    """Anonymous memory: what no file holds (heap, stacks, changed data). The proportional and the resident set say less
    about growth: they change when other processes of the machine begin and end to share a program's pages."""
    DESCRIPTORS = "descriptors"
    THREADS = "threads"
    PROCESSES = "processes"
    FILES = "files"
    """Files, directories and sockets in a directory of the state directory."""
    DISK = "disk"
    """What they occupy."""
    LOG = "log"
    """Bytes written to logs, rotated ones included."""
    AUDIT = "audit"
    """Bytes written to the audit logs, which are kept on purpose."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How a figure is judged."""

    unit: str
    least: float
    """Allowed in any case, in the unit."""
    share: float
    """Allowed as a share of the value at the beginning."""
    counter: bool = False
    """It counts from the start of the run: what is judged is its increase per minute."""

    def allowance(self, first: float) -> float:
        return max(self.least, self.share * first)


KINDS: Final[Mapping[Figure, Kind]] = {
    Figure.MEMORY: Kind("MiB", least=2.0, share=0.05),
    Figure.DESCRIPTORS: Kind("", least=4.0, share=0.1),
    Figure.THREADS: Kind("", least=2.0, share=0.1),
    Figure.PROCESSES: Kind("", least=1.0, share=0.1),
    Figure.FILES: Kind("", least=10.0, share=0.05),
    Figure.DISK: Kind("MiB", least=1.0, share=0.05),
    Figure.LOG: Kind("KiB/min", least=4.0, share=0.2, counter=True),
    Figure.AUDIT: Kind("KiB/min", least=4.0, share=0.2, counter=True),
}
