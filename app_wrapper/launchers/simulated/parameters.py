"""`enclave.toml`: what a simulated enclave costs. The file that is shipped says where each number comes from.

The distribution of start times is a Beta distribution, because the source gives two bounds and a mean and it has
nothing outside of the bounds.
"""

from pathlib import Path
from random import Random
from typing import Annotated, Final

from msgspec import Meta, Struct

from standby import decode
from standby.decode import UnreadableError
from standby.settings import SettingsError

SHIPPED: Final = Path(__file__).parent.parent / "enclave.toml"
PAGE: Final = 4096
"""Bytes of a page of the EPC (dissertation, section 5.2.1)."""
_MEBIBYTE: Final = 2**20
_Seconds = Annotated[float, Meta(gt=0, le=3600)]
_Mebibytes = Annotated[int, Meta(gt=0, le=2**20)]


class StartTime(Struct, frozen=True, forbid_unknown_fields=True):
    """How long an enclave takes to start. Seconds."""

    low: _Seconds
    mean: _Seconds
    high: _Seconds
    concentration: Annotated[float, Meta(gt=0, le=1e6)]
    """Of the Beta distribution, alpha + beta: the larger, the closer to the mean."""

    def __post_init__(self) -> None:
        """A distribution with this mean exists.

        Raises:
            ValueError: it does not.
        """
        if not self.low < self.mean < self.high:
            raise ValueError("low < mean < high is needed")

    def draw(self, random: Random) -> float:
        """One start's seconds, from low to high."""
        width = self.high - self.low
        share = (self.mean - self.low) / width
        alpha, beta = share * self.concentration, (1 - share) * self.concentration
        return self.low + width * random.betavariate(alpha, beta)


class Starts(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    enclave: StartTime
    """In a container that runs already."""
    container_and_enclave: StartTime
    """In a new container."""


class Memory(Struct, frozen=True, forbid_unknown_fields=True):
    """Of one enclave."""

    heap: _Mebibytes
    login: _Mebibytes
    """Used by a LOGIN."""

    def __post_init__(self) -> None:
        """A LOGIN uses pages of the heap.

        Raises:
            ValueError: it would use more.
        """
        if self.login > self.heap:
            raise ValueError("login is larger than heap")

    @property
    def heap_bytes(self) -> int:
        return self.heap * _MEBIBYTE

    @property
    def heap_pages(self) -> int:
        return self.heap_bytes // PAGE

    @property
    def login_pages(self) -> int:
        return self.login * _MEBIBYTE // PAGE


class EpcSize(Struct, frozen=True, forbid_unknown_fields=True):
    """Of the memory that all enclaves of a wrapper share, and what paging costs."""

    size: _Mebibytes
    swap: Annotated[float, Meta(ge=0, le=1e9)]
    """Cycles for a page that comes in with the one that goes out for it, or for one that goes out alone."""
    clock: Annotated[float, Meta(gt=0, le=1e12)]
    """Cycles in a second."""

    @property
    def pages(self) -> int:
        return self.size * _MEBIBYTE // PAGE

    def seconds(self, swaps: int) -> float:
        """What that many take, one after the other."""
        return swaps * self.swap / self.clock


class Parameters(Struct, frozen=True, forbid_unknown_fields=True):
    start: Starts
    memory: Memory
    epc: EpcSize


def load(file: Path) -> Parameters:
    """The parameters in a file.

    Raises:
        SettingsError: it cannot be read, or they cannot be; with the file's name and the reason.
    """
    try:
        return decode.toml(file.read_bytes(), Parameters)
    except (OSError, UnreadableError) as error:
        raise SettingsError(f"cannot simulate enclaves with {file}: {error}") from error
