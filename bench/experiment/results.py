"""Reads a results directory: the summary at once, the measurements of a cell when they are asked for.

Only valid runs count: those whose run.json is there and names no problem. A cell without one has no latencies and no
timelines; that is not an error, because an interrupted experiment is worth a report too. What was read is kept: half a
million latencies are 4 MB, and several figures ask for the same cell.

The csv module was fast enough (half a million rows in about a second); a data frame library would be one more thing to
install for that second.
"""

import csv
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.experiment.record import Summary

Numbers = NDArray[np.float64]
REQUESTS: Final = ("operation", "latency_ms", "error", "warm_up")
RESOURCES: Final = ("at_s", "role", "pid", "name", "processor_s", "pss_mib", "enclave_mib")


@dataclass(frozen=True, slots=True)
class Timelines:
    """One run's use of the machine, by role, at its samples.

    What a process used after its last sample is lost, so very short processes look cheaper than they are.
    """

    seconds: Numbers
    """When the samples were taken, since the run's start."""
    memory: Mapping[str, Numbers]
    """MiB by role: pss and what simulated enclaves hold; as long as `seconds`."""
    processors: Mapping[str, Numbers]
    """In use between a sample and the one before it: one shorter than `seconds`."""


class _Run(msgspec.Struct, frozen=True):
    """What of run.json matters here."""

    problems: list[str]


@dataclass(slots=True)
class _Process:
    """What was read of one process, sample by sample."""

    samples: list[int]
    spent: list[float]
    pss: list[float]
    enclave: list[float]


class Results:
    """What an experiment left in `directory`.

    Raises:
        OSError: there is no summary, or it cannot be read.
        msgspec.ValidationError: the summary is of another version.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.summary = msgspec.json.decode((directory / "summary.json").read_bytes(), type=Summary)
        self._latencies: dict[str, Mapping[str, Numbers]] = {}
        self._timelines: dict[str, Timelines | None] = {}

    def valid_runs(self, cell_id: str) -> list[Path]:
        """Their directories, by repetition."""
        named = re.compile(re.escape(cell_id) + r"-(\d+)")
        everything = self.directory / "runs"
        if not everything.is_dir():
            return []
        found = {
            int(match[1]): path
            for path in everything.iterdir()
            if (match := named.fullmatch(path.name)) and _valid(path)
        }
        return [found[repetition] for repetition in sorted(found)]

    def latencies(self, cell_id: str) -> Mapping[str, Numbers]:
        """Milliseconds by operation, ascending: of all valid runs, successful requests after the warm-up."""
        if cell_id not in self._latencies:
            found: dict[str, list[float]] = defaultdict(list)
            for run in self.valid_runs(cell_id):
                for operation, latency in _successful(run / "requests.csv"):
                    found[operation].append(latency)
            self._latencies[cell_id] = {
                operation: np.sort(np.array(values, dtype=np.float64))
                for operation, values in found.items()
            }
        return self._latencies[cell_id]

    def timelines(self, cell_id: str) -> Timelines | None:
        """Of the first valid run; None without one, and where no samples were taken."""
        if cell_id not in self._timelines:
            runs = self.valid_runs(cell_id)
            self._timelines[cell_id] = _timelines(runs[0] / "resources.csv") if runs else None
        return self._timelines[cell_id]


def _valid(run: Path) -> bool:
    try:
        return not msgspec.json.decode((run / "run.json").read_bytes(), type=_Run).problems
    except FileNotFoundError:
        return False  # it was interrupted


def _columns(file: Path, names: Sequence[str]) -> Iterator[list[str]]:
    with file.open(newline="", encoding="utf-8") as lines:
        rows = csv.reader(lines)
        header = next(rows)
        places = [header.index(name) for name in names]
        for row in rows:
            yield [row[place] for place in places]


def _successful(requests: Path) -> Iterator[tuple[str, float]]:
    for operation, latency, error, warm_up in _columns(requests, REQUESTS):
        if not error and warm_up == "0":
            yield operation, float(latency)


def _timelines(resources: Path) -> Timelines | None:
    if not resources.exists():
        return None  # starts alone are not sampled
    moments: dict[float, int] = {}
    processes: dict[tuple[str, str, str], _Process] = {}
    for at, role, pid, name, spent, pss, enclave in _columns(resources, RESOURCES):
        process = processes.setdefault((role, pid, name), _Process([], [], [], []))
        process.samples.append(moments.setdefault(float(at), len(moments)))
        process.spent.append(float(spent))
        process.pss.append(float(pss) if pss else np.nan)
        process.enclave.append(float(enclave) if enclave else np.nan)
    return _summed(np.array(list(moments)), processes) if moments else None


def _summed(seconds: Numbers, processes: Mapping[tuple[str, str, str], _Process]) -> Timelines:
    memory: dict[str, Numbers] = defaultdict(lambda: np.zeros(len(seconds)))
    spent: dict[str, Numbers] = defaultdict(lambda: np.zeros(len(seconds)))
    for (role, _, _), process in processes.items():
        # the enclaves of several wrappers are rows with the same name and no pid
        held = carried(process.pss) + carried(process.enclave)
        np.add.at(memory[role], process.samples, held)
        np.add.at(spent[role], process.samples, _used(process))
    passed = np.diff(seconds)
    return Timelines(
        seconds=seconds,
        memory=dict(memory),
        processors={role: values[1:] / passed for role, values in spent.items()},
    )


def _used(process: _Process) -> Numbers:
    """Processor seconds since the sample before: all that a process used when it was not there yet."""
    total = np.array(process.spent)
    before = np.concatenate(([total[0] if process.samples[0] == 0 else 0.0], total[:-1]))
    used = total - before
    return np.where(used < 0, total, used)  # less than before: another process got the same pid


def carried(values: Sequence[float]) -> Numbers:
    """Each nan replaced by the last number before it, or else the first after it; zeros without any number."""
    given = np.array(values, dtype=np.float64)
    known = np.flatnonzero(~np.isnan(given))
    if not len(known):
        return np.zeros(len(given))
    last = np.searchsorted(known, np.arange(len(given)), side="right") - 1
    return np.asarray(given[known[np.maximum(last, 0)]], dtype=np.float64)
