"""Summaries as an experiment would leave them, small."""

from collections.abc import Mapping

from bench.experiment.record import (
    Cell,
    Estimate,
    Experiment,
    Group,
    Level,
    Operation,
    Summary,
    System,
)


def operation(p50: float, *, half: float = 0.0, failed: int = 0) -> Operation:
    """With the interval `p50` ± `half`."""
    estimate = Estimate(value=p50, low=p50 - half, high=p50 + half)
    return Operation(
        count=100, failed=failed, mean=p50, p50=estimate, p95=estimate, p99=estimate, max=p50
    )


def group(*, memory: float, processors: float, enclaves: float | None = None) -> Group:
    return Group(
        processes=1,
        pss=memory,
        rss=9999,
        enclaves=enclaves,
        processors=processors,
        switches=1,
    )


def cell(
    system: str | None,
    operations: Mapping[str, Operation],
    groups: Mapping[str, Group] | None = None,
    *,
    levels: Mapping[str, Level] | None = None,
    valid: int = 3,
) -> Cell:
    approach, _, launcher = (system or "").partition("/")
    return Cell(
        id="cell",
        system=System(approach=approach, launcher=launcher) if system else None,
        levels=dict(levels or {}),
        runs=3,
        valid=valid,
        problems=[],
        operations=dict(operations),
        throughput=1.0,
        groups=dict(groups or {}),
    )


def experiment(*cells: Cell, kind: str = "sessions") -> Experiment:
    return Experiment(
        name="one",
        kind=kind,
        title="One",
        about="",
        like="",
        compression=1.0,
        cells=list(cells),
        conclusions=[],
        figures=[],
    )


def summary(*experiments: Experiment) -> Summary:
    return Summary(
        name="plan",
        title="Plan",
        began="2026-11-21T00:00:00+00:00",
        seconds=1.0,
        complete=True,
        runs_done=1,
        runs_planned=1,
        versions={},
        machine={},
        experiments=list(experiments),
    )
