"""Pages of the enclave page cache (EPC), of 4 KiB, where a driver counts them; nowhere else, and never as zero.

SCONE's patched SGX drivers export counters as parameters of their module (`isgx`, or `intel_sgx` for the DCAP driver);
TEEMon, with which the dissertation measured figures 5.15 and 5.16, reads such files. The driver in the kernel has no
such counters. The names are those that SCONE's driver installer prints (scontain/SH, install_sgx_driver.sh); this was
never tried with the hardware.
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from bench.experiment.record import EpcPages

FILE: Final = "epc.csv"
_MODULES: Final = ("isgx", "intel_sgx")


class Reading(NamedTuple):
    """A row of epc.csv."""

    at_s: float
    total: int
    free: int
    allocated: int
    evicted: int
    """Since the driver was loaded."""


class Counters:
    """The driver's files."""

    _NAMES: Final = (
        "sgx_nr_total_epc_pages",
        "sgx_nr_free_pages",
        "sgx_nr_alloc_pages",
        "sgx_nr_evicted",
    )

    def __init__(self, directory: Path) -> None:
        self._files = [directory / name for name in self._NAMES]

    @classmethod
    def found(cls, modules: Path = Path("/sys/module")) -> "Counters | None":
        """None where no driver counts."""
        for name in _MODULES:
            directory = modules / name / "parameters"
            if all((directory / each).exists() for each in cls._NAMES):
                return cls(directory)
        return None

    def read(self, at: float) -> Reading:
        return Reading(round(at, 3), *(int(file.read_text("ascii")) for file in self._files))


def write(directory: Path, readings: Sequence[Reading]) -> None:
    with (directory / FILE).open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(Reading._fields)
        writer.writerows(readings)


def summarise(directories: Sequence[Path]) -> EpcPages | None:
    """Of some runs together; None if nothing was counted."""
    runs = [found for each in directories if (found := _read(each / FILE))]
    if not runs:
        return None
    return EpcPages(
        total=runs[0][0].total,
        free=median(each.free for run in runs for each in run),
        allocated=median(each.allocated for run in runs for each in run),
        evicted=median(run[-1].evicted - run[0].evicted for run in runs),
    )


def _read(file: Path) -> list[Reading]:
    if not file.exists():
        return []
    with file.open(newline="", encoding="utf-8") as source:
        found = csv.DictReader(source)
        return [
            Reading(float(row["at_s"]), *(int(row[name]) for name in Reading._fields[1:]))
            for row in found
        ]
