"""Which pages of simulated enclaves are in the EPC, the memory that all enclaves of a machine share. Pure.

Pages are counted, not told apart. Place is made at the cost of the enclave that was used least recently, then of the
next one, never of the one for which it is made.

Invariants: never more pages are resident than fit; an enclave has no more of them than it is large; while everything
fits, nothing is paged.
"""

from dataclasses import dataclass

from standby.ids import BootId


@dataclass(frozen=True, slots=True)
class Paged:
    """Pages that were moved."""

    out: int
    into: int = 0


@dataclass(slots=True)
class _Enclave:
    size: int
    resident: int = 0


class Epc:
    def __init__(self, capacity: int) -> None:
        """For that many pages."""
        self._capacity = capacity
        self._enclaves: dict[BootId, _Enclave] = {}
        """The least recently used first."""

    @property
    def enclaves(self) -> int:
        """How many there are, resident or not."""
        return len(self._enclaves)

    @property
    def resident(self) -> int:
        return sum(each.resident for each in self._enclaves.values())

    def allocate(self, boot_id: BootId, pages: int) -> Paged:
        """A new enclave, as far as it fits; the pages of others that were paged out for it.

        What does not fit is paged out while it starts. That is not counted: it is part of the measured start time.
        """
        self._enclaves[boot_id] = _Enclave(pages)
        return Paged(out=self._load(boot_id, pages))

    def touch(self, boot_id: BootId, pages: int) -> Paged:
        """The enclave uses that many of its pages; nothing happens if there is no such enclave (any more)."""
        enclave = self._enclaves.pop(boot_id, None)
        if enclave is None:
            return Paged(out=0)
        self._enclaves[boot_id] = enclave
        before = enclave.resident
        out = self._load(boot_id, pages)
        return Paged(out=out, into=enclave.resident - before)

    def free(self, boot_id: BootId) -> None:
        """The enclave has ended; once is enough."""
        self._enclaves.pop(boot_id, None)

    def _load(self, boot_id: BootId, pages: int) -> int:
        """Make that many of its pages resident, as far as they fit; how many of others go out."""
        enclave = self._enclaves[boot_id]
        wanted = max(enclave.resident, min(pages, enclave.size, self._capacity))
        short = self.resident + wanted - enclave.resident - self._capacity
        enclave.resident = wanted
        return self._page_out(max(0, short), boot_id)

    def _page_out(self, pages: int, spared: BootId) -> int:
        left = pages
        for boot_id, enclave in self._enclaves.items():
            if boot_id != spared:
                going = min(left, enclave.resident)
                enclave.resident -= going
                left -= going
        return pages - left
