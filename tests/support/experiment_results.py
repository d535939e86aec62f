"""A results directory with made-up measurements: complete, small, and the same every time.

Three systems and two levels of activity under sessions (time compressed), start-up times with simulated launchers, the
memory of waiting and active servers, and a load balancer alone. One run names a problem, and one cell has no valid run.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.experiment.record import (
    Cell,
    Comparison,
    Conclusion,
    Estimate,
    Experiment,
    Figure,
    Form,
    Group,
    Level,
    Operation,
    Summary,
    System,
    Verdict,
)

STANDBY: Final = System(approach="standby", launcher="fork")
TRIVIAL: Final = System(approach="trivial", launcher="fork")
ON_DEMAND: Final = System(approach="on-demand", launcher="spawn")
ENCLAVE: Final = "simulated-enclave"
SESSION: Final = {
    "LOGIN": 180.0,
    "WRITE": 24.0,
    "LONG_WRITE": 130.0,
    "QUERY_AVG": 9.0,
    "LOGOUT": 15.0,
}
"""Medians, ms."""
SLOWER: Final = {"standby": 1.0, "trivial": 0.9, "on-demand": 3.4}
PROBLEM: Final = "the load generator was late: <lag> of 812 ms & more"
REQUESTS: Final = (
    "user,client,session,operation,intended_s,lag_ms,connect_ms,latency_ms,status,error,warm_up"
)
RESOURCES: Final = (
    "at_s,role,pid,name,processor_s,pss_mib,rss_mib,enclave_mib,voluntary,involuntary"
)


@dataclass(frozen=True)
class Planned:
    """What one cell will be."""

    id: str
    system: System | None
    levels: dict[str, Level]
    medians: Mapping[str, float]
    servers: int
    problems: tuple[str, ...] = ()
    """Of the second run; of both when the cell is `broken`."""
    broken: bool = False


def build(directory: Path, *, count: int = 150, complete: bool = True) -> Path:
    """Write everything; `count` requests of each operation in each run."""
    random = np.random.default_rng(20_211_109)
    experiments = [
        _experiment(directory, random, planned, cells, count)
        for planned, cells in (_type2(), _startup(), _memory(), _ingress())
    ]
    runs = sum(cell.runs for experiment in experiments for cell in experiment.cells)
    summary = Summary(
        name="small",
        title="Made-up results <to look at>",
        began="2026-03-04T05:06:07Z",
        seconds=5025.0,
        complete=complete,
        runs_done=runs if complete else runs - 3,
        runs_planned=runs,
        versions={"python": "3.11.2", "haproxy": "2.6.12", "openssl": "OpenSSL 3.0.17 1 Jul 2025"},
        machine={"architecture": "x86_64", "processors": 4, "memory_mib": 15_990, "load": 0.41},
        experiments=experiments,
    )
    (directory / "summary.json").write_bytes(msgspec.json.encode(summary))
    return directory


def _experiment(
    directory: Path,
    random: np.random.Generator,
    experiment: Experiment,
    planned: Sequence[Planned],
    count: int,
) -> Experiment:
    cells = [_cell(directory, random, each, count) for each in planned]
    compared = list(_compared(cells)) if experiment.name == "type2" else []
    return msgspec.structs.replace(experiment, cells=cells, comparisons=compared)


def _compared(cells: Sequence[Cell]) -> Iterator[Comparison]:
    verdicts = (Verdict.MET, Verdict.UNDECIDED, Verdict.MISSED)
    for ours, theirs in product(cells, cells):
        if ours.system == STANDBY and theirs.system == TRIVIAL and ours.levels == theirs.levels:
            for name, (verdict, percent) in product(
                SESSION, zip(verdicts, (50, 95, 99), strict=True)
            ):
                yield Comparison(
                    systems=(STANDBY.name, TRIVIAL.name),
                    levels=ours.levels,
                    operation=name,
                    percentile=percent,
                    ratio=Estimate(value=1.04, low=0.97, high=1.1),
                    verdict=verdict,
                )


def _cell(directory: Path, random: np.random.Generator, planned: Planned, count: int) -> Cell:
    good: dict[str, list[NDArray[np.float64]]] = {}
    problems: list[str] = []
    for repetition in (1, 2):
        run = directory / "runs" / f"{planned.id}-{repetition}"
        run.mkdir(parents=True)
        wrong = planned.problems if planned.broken or repetition == 2 else ()
        (run / "run.json").write_bytes(msgspec.json.encode({"problems": list(wrong)}))
        problems.extend(wrong)
        latencies = {
            name: np.round(
                middle * random.lognormal(0, 0.35, count) + random.exponential(4, count), 3
            )
            for name, middle in planned.medians.items()
        }
        _write(run / "requests.csv", REQUESTS, _requests(latencies))
        _write(run / "resources.csv", RESOURCES, _resources(planned))
        if not wrong:
            for name, values in latencies.items():
                good.setdefault(name, []).append(values)
    return Cell(
        id=planned.id,
        system=planned.system,
        levels=planned.levels,
        runs=2,
        valid=0 if planned.broken else 2 - bool(planned.problems),
        problems=problems,
        operations={name: _operation(np.concatenate(each)) for name, each in good.items()},
        throughput=0.0 if planned.broken else 300 + 7.0 * sum(planned.id.encode()) % 90,
        groups={} if planned.broken else _groups(planned),
    )


def _requests(latencies: Mapping[str, NDArray[np.float64]]) -> Iterator[Sequence[object]]:
    """A warm-up and a failure of each operation too; those must be in no figure."""
    for name, values in latencies.items():
        yield ("u-1", "c-1", 0, name, 0.0, 0.1, 2.0, 90_000.0, 200, "", 1)
        yield ("u-1", "c-1", 1, name, 0.1, 0.1, 2.0, 80_000.0, 503, "no_server", 0)
        for place, value in enumerate(values):
            user = f"u-{place % 56 + 1}"
            yield (user, user, place, name, place / 10, 0.1, 2.0, value, 200, "", 0)


def _resources(planned: Planned) -> Iterator[Sequence[object]]:
    simulated = _simulated(planned)
    for sample in range(40):
        for number in range(planned.servers):
            joined = 0 if planned.system != STANDBY else number // 2
            if sample < joined:
                continue
            pss = (
                round(9.5 + min(sample, 20) / 10, 2) if sample % 4 == 0 or sample == joined else ""
            )
            used = round((sample - joined) * 0.008, 4)
            yield (sample * 2.0, "servers", 500 + number, "server", used, pss, 21, "", 5, 1)
        if simulated:
            for share in (0.5, 0.5):  # two wrappers hold them
                held = 64 * planned.servers * share
                yield (sample * 2.0, "servers", 0, "simulated enclaves", 0, "", 0, held, 0, 0)
        yield (sample * 2.0, "load-balancer", 90, "haproxy", sample * 0.11, 14, 20, "", 9, 2)
        yield (sample * 2.0, "generator", 91, "locust", sample * 0.6, 80, 90, "", 9, 2)


def _simulated(planned: Planned) -> bool:
    launcher = planned.system.launcher if planned.system else planned.levels.get("launcher", "")
    return str(launcher).startswith("simulated")


def _write(file: Path, header: str, rows: Iterable[Sequence[object]]) -> None:
    with file.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(header.split(","))
        writer.writerows(rows)


def _operation(values: NDArray[np.float64]) -> Operation:
    def estimate(percent: int) -> Estimate:
        value = float(np.percentile(values, percent, method="inverted_cdf"))
        return Estimate(value=value, low=value * 0.94, high=value * 1.08)

    return Operation(
        count=len(values),
        failed=1,
        mean=float(values.mean()),
        p50=estimate(50),
        p95=estimate(95),
        p99=estimate(99),
        max=float(values.max()),
    )


def _groups(planned: Planned) -> dict[str, Group]:
    simulated = _simulated(planned)

    def group(processes: int, each: float, processors: float, *, of_servers: bool = False) -> Group:
        return Group(
            processes=processes,
            pss=processes * each,
            rss=processes * 21.0,
            enclaves=processes * 64.0 if simulated and of_servers else None,
            waiting=processes * each * 0.8,
            processors=processors,
            switches=processors * 900,
        )

    found = {"load-balancer": group(1, 14.0, 0.055), "generator": group(1, 80.0, 0.3)}
    if planned.servers:
        found["servers"] = group(planned.servers, 11.2, 0.004 * planned.servers, of_servers=True)
        found["routing-manager"] = group(1, 3.4, 0.006)
    return found


def _type2() -> tuple[Experiment, list[Planned]]:
    cells = []
    for active, system in product((56, 7), (STANDBY, TRIVIAL, ON_DEMAND)):
        slower = SLOWER[system.approach]
        medians = {
            name: value * (slower if name == "LOGIN" else 1 + slower / 10) * (1 + active / 200)
            for name, value in SESSION.items()
        }
        levels: dict[str, Level] = {
            "users": 105,
            "active": active,
            "write_ratio": 0.5,
            "period": 10,
        }
        servers = 105 if system.approach == "trivial" else active
        problems = (PROBLEM,) if system is STANDBY and active == 7 else ()
        broken = system is ON_DEMAND and active == 7
        wrong = ("2 server processes were left over",) if broken else problems
        name = f"type2-{system.approach}-{active}"
        cells.append(Planned(name, system, levels, medians, servers, wrong, broken))
    return _planned(
        "type2",
        "sessions",
        "Type 2 clients",
        "Customers log in, write and ask.\n\nUsers & servers are on <one> machine.",
        "section 5.2, figures 5.7 to 5.14",
        60,
        [
            Figure(
                form=Form.BOXES, title="Latency of the operations", each="active", like="figure 5.7"
            ),
            Figure(form=Form.CURVES, title="Latency curves", each="active", like="figure 5.10"),
            Figure(form=Form.BARS, title="Memory of the servers", like="figure 5.14"),
            Figure(form=Form.MEMORY, title="Memory of the servers by time", each="active"),
            Figure(form=Form.PROCESSORS, title="Processor use of the servers", each="active"),
        ],
        [
            Conclusion(
                text="With 56 of 105 users active, standby servers hold less memory than trivial ones.",
                estimate=Estimate(value=46.7, low=46.1, high=47.2),
                unit="%",
                required="≥ 40 %",
                verdict=Verdict.MET,
                published="44.80 % (figure 5.14)",
            ),
            Conclusion(
                text="LOGIN of standby against trivial, median.",
                estimate=Estimate(value=1.11, low=1.04, high=1.19),
                unit="ratio",
                required="≤ 1.05",
                verdict=Verdict.UNDECIDED,
                published="",
            ),
            Conclusion(
                text="A write's 99th percentile against trivial.",
                note="In 2 of 2 cells.",
                estimate=Estimate(value=1.31, low=1.22, high=1.4),
                unit="ratio",
                required="≤ 1.1",
                verdict=Verdict.MISSED,
                published="",
            ),
            Conclusion(
                text="On-demand with 7 users active.",
                estimate=None,
                unit="",
                required="",
                verdict=Verdict.NOT_MEASURED,
                published="",
            ),
        ],
    ), cells


def _startup() -> tuple[Experiment, list[Planned]]:
    launchers = {
        "fork": 4.0,
        "spawn": 260.0,
        "simulated-enclave": 640.0,
        "simulated-container-enclave": 2900.0,
    }
    cells = [
        Planned(f"startup-{name}", None, {"launcher": name}, {"START": median}, 1)
        for name, median in launchers.items()
    ]
    return _planned(
        "startup",
        "startup",
        "Start-up times",
        "One start after the other.",
        "section 5.1, figure 5.1",
        1,
        [
            Figure(form=Form.BOXES, title="Start of a server", like="figure 5.1"),
            Figure(form=Form.CURVES, title="Start of a server, by percentile"),
            Figure(form=Form.MEMORY, title="Memory"),
        ],
        [],
    ), cells


def _memory() -> tuple[Experiment, list[Planned]]:
    systems = (
        STANDBY,
        TRIVIAL,
        *(System(approach=each.approach, launcher=ENCLAVE) for each in (STANDBY, TRIVIAL)),
    )
    cells = []
    for system, active in product(systems, (56, 28, 7)):
        servers = 105 if system.approach == "trivial" else active
        levels: dict[str, Level] = {"users": 105, "servers": servers, "active": active, "hours": 1}
        name = f"memory-{system.approach}-{system.launcher}-{active}"
        cells.append(Planned(name, system, levels, {"LONG_WRITE": 90.0}, servers))
    return _planned(
        "memory",
        "sessions",
        "Memory of the servers",
        "Nothing else is up, so that no page is shared with other platforms.",
        "figure 5.14",
        60,
        [
            Figure(form=Form.BARS, title="Memory of the servers", like="figure 5.14"),
            Figure(form=Form.MEMORY, title="Memory of the servers by time", each="active"),
        ],
        [],
    ), cells


def _ingress() -> tuple[Experiment, list[Planned]]:
    cells = [
        Planned(
            f"ingress-way-{way}-backends-100-{load}-{value}",
            None,
            {"way": way, "backends": 100, load: value},
            {"CONNECT": 6.0 * (value % 250) / 100 + (1.5 if way == "hook" else 0)},
            0,
        )
        for way, (load, value) in product(
            ("hook", "static"), (("rate", 500), ("clients", 100), ("clients", 200))
        )
    ]
    return _planned(
        "ingress",
        "ingress",
        "The load balancer alone",
        "Connections to many backends.",
        "section 4.3.3, figures 4.4 and 4.5",
        1,
        [
            Figure(form=Form.BOXES, title="Connections", series="way,clients", like="figure 4.4"),
            Figure(form=Form.THROUGHPUT, title="Tail", series="way", like="figure 4.5"),
            Figure(form=Form.PROCESSORS, title="Processors", series="way,clients"),
        ],
        [],
    ), cells


def _planned(
    name: str,
    kind: str,
    title: str,
    about: str,
    like: str,
    compression: float,
    figures: list[Figure],
    conclusions: list[Conclusion],
) -> Experiment:
    return Experiment(
        name=name,
        kind=kind,
        title=title,
        about=about,
        like=like,
        compression=compression,
        cells=[],
        conclusions=conclusions,
        figures=figures,
    )
