"""What the platform's processes use while a run lasts: processor time, memory, context switches.

Memory is the proportional set size (PSS), in which a page that n processes share counts 1/n in each, and the resident
set size (RSS), in which it counts whole. Reading PSS makes the kernel walk the process's pages, so it is read at
longer intervals than the rest. Simulated enclaves' memory lies in files without a name that the wrapper holds, so it is
found there. Pages of real enclaves are the machine's and no process's: see `epc`.
"""

import contextlib
import csv
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Self

import psutil

from bench.experiment import epc
from bench.experiment.metrics import Gauges
from standby_cli.endpoints import Pids

SERVERS: Final = "servers"
WRAPPERS: Final = "wrappers"
MANAGER: Final = "routing-manager"
BALANCER: Final = "load-balancer"
GENERATOR: Final = "generator"
_OFTEN: Final = 2.0
"""Seconds between two readings of everything but PSS; of a hundred processes they take 30 ms."""
_MIB: Final = 2**20
_ENCLAVE: Final = "/memfd:simulated-enclave-"


class Sample(NamedTuple):
    """A row of resources.csv; counters are those of the whole process's life."""

    at_s: float
    role: str
    pid: int
    name: str
    processor_s: float
    pss_mib: float | None
    """None: not read this time."""
    rss_mib: float
    enclave_mib: float | None
    voluntary: int
    involuntary: int


Find = Callable[[], Mapping[psutil.Process, str]]
"""The processes that are looked at now, and their roles."""


def of_platform(pids: Pids) -> Iterator[tuple[psutil.Process, str]]:
    """A platform's live processes; all that a wrapper has started counts as servers, what they are forked from, too."""
    roots = [(pids.haproxy, BALANCER)] + [(pid, WRAPPERS) for pid in pids.wrappers.values()]
    if pids.routing_manager:
        roots.append((pids.routing_manager, MANAGER))
    for pid, role in roots:
        with contextlib.suppress(psutil.NoSuchProcess):
            root = psutil.Process(pid)
            yield root, role
            for child in root.children(recursive=True):
                yield child, SERVERS if role == WRAPPERS else role


class Sampler:
    """Reads while the context lasts, in a thread of its own; the run's directory gets the rows at the end."""

    def __init__(
        self,
        find: Callable[[], Iterator[tuple[psutil.Process, str]]],
        directory: Path,
        every: float,
        gauges: Gauges,
    ) -> None:
        """`every`: seconds between two readings of PSS."""
        self.samples: list[Sample] = []
        self._find = find
        self._directory = directory
        self._every = every
        self._gauges = gauges
        self._epc = epc.Counters.found()
        self._pages: list[epc.Reading] = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler")
        self._failed: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        write(self._directory / "resources.csv", self.samples)
        if self._pages:
            epc.write(self._directory, self._pages)
        if self._failed:
            raise self._failed

    def _run(self) -> None:
        began = time.perf_counter()
        deep_at = 0.0
        try:
            while True:
                now = time.perf_counter() - began
                deep = now >= deep_at
                if deep:
                    deep_at = now + self._every
                taken = list(_read(self._find(), now, deep=deep))
                self.samples += taken
                self._gauges.show(taken)
                if self._epc:
                    self._pages.append(self._epc.read(now))
                if self._end.wait(min(_OFTEN, self._every)):
                    return
        except BaseException as error:  # noqa: BLE001  # raised again where the context ends
            self._failed = error


def write(file: Path, samples: Sequence[Sample]) -> None:
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(Sample._fields)
        writer.writerows(samples)


def read(file: Path) -> list[Sample]:
    with file.open(newline="", encoding="utf-8") as source:
        return [
            Sample(
                float(each["at_s"]),
                each["role"],
                int(each["pid"]),
                each["name"],
                float(each["processor_s"]),
                _optional(each["pss_mib"]),
                float(each["rss_mib"]),
                _optional(each["enclave_mib"]),
                int(each["voluntary"]),
                int(each["involuntary"]),
            )
            for each in csv.DictReader(source)
        ]


def _optional(text: str) -> float | None:
    return float(text) if text else None


def _read(
    processes: Iterator[tuple[psutil.Process, str]], now: float, *, deep: bool
) -> Iterator[Sample]:
    for process, role in processes:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess, OSError):
            yield _sample(process, role, now, deep=deep)
            if role == WRAPPERS and (enclaves := _enclaves(process.pid)):
                yield Sample(
                    round(now, 3), SERVERS, 0, "simulated enclaves", 0, None, 0, enclaves, 0, 0
                )


def _sample(process: psutil.Process, role: str, now: float, *, deep: bool) -> Sample:
    with process.oneshot():
        times = process.cpu_times()
        switches = process.num_ctx_switches()
        resident = process.memory_info().rss
        name = process.name()
    pss = process.memory_full_info().pss / _MIB if deep else None
    return Sample(
        at_s=round(now, 3),
        role=role,
        pid=process.pid,
        name=name,
        processor_s=round(times.user + times.system, 3),
        pss_mib=None if pss is None else round(pss, 3),
        rss_mib=round(resident / _MIB, 3),
        enclave_mib=None,
        voluntary=switches.voluntary,
        involuntary=switches.involuntary,
    )


def _enclaves(wrapper: int) -> float:
    """MiB that a wrapper's simulated enclaves hold."""
    held = 0
    for descriptor in Path(f"/proc/{wrapper}/fd").iterdir():
        with contextlib.suppress(OSError):
            if str(descriptor.readlink()).startswith(_ENCLAVE):
                held += descriptor.stat().st_blocks * 512
    return held / _MIB
