"""What figures mean in money and servers: from the cells that were measured, or not at all."""

import msgspec
import pytest

from bench.experiment import economy
from bench.experiment.record import Cell, Estimate, Experiment, Group, Operation, Summary, System


def _estimate(value: float) -> Estimate:
    return Estimate(value=value, low=value, high=value)


def _operation(value: float) -> Operation:
    found = _estimate(value)
    return Operation(count=9, failed=0, mean=value, p50=found, p95=found, p99=found, max=value)


def _sessions(approach: str, launcher: str, active: int, memory: float, login: float) -> Cell:
    servers = active if approach == "standby" else 105
    group = Group(
        processes=servers,
        pss=memory,
        rss=memory,
        enclaves=None,
        waiting=memory / 2,
        processors=0.1,
        switches=1,
    )
    return Cell(
        id=f"{approach}-{launcher}-{active}",
        system=System(approach=approach, launcher=launcher),
        levels={"users": 105, "servers": servers, "active": active, "period": 60},
        runs=1,
        valid=1,
        problems=[],
        operations={"LOGIN": _operation(login)},
        throughput=1,
        groups={"servers": group},
    )


def _start(launcher: str, milliseconds: float) -> Cell:
    return Cell(
        id=launcher,
        system=None,
        levels={"launcher": launcher},
        runs=1,
        valid=1,
        problems=[],
        operations={"START": _operation(milliseconds)},
        throughput=1,
        groups={},
    )


def _experiment(kind: str, cells: list[Cell]) -> Experiment:
    return Experiment(
        name=kind,
        kind=kind,
        title="t",
        about="a",
        like="",
        compression=1,
        cells=cells,
        conclusions=[],
        figures=[],
    )


@pytest.fixture
def measured() -> Summary:
    cells = [
        _sessions("standby", "fork", 56, 560, 20),
        _sessions("standby", "fork", 7, 140, 20),
        _sessions("trivial", "spawn", 56, 3150, 10),
        _sessions("trivial", "spawn", 7, 3150, 10),
        _sessions("standby", "simulated-enclave", 56, 99_999, 10),
    ]
    return Summary(
        name="n",
        title="t",
        began="",
        seconds=1,
        complete=True,
        runs_done=1,
        runs_planned=1,
        versions={},
        machine={},
        experiments=[
            _experiment("startup", [_start("fork", 6.0), _start("spawn", 270.0)]),
            _experiment("sessions", cells),
        ],
    )


def test_the_pool_is_made_from_the_cells_with_the_most_active_users(measured: Summary) -> None:
    result = economy.capacity(measured)
    assert result
    demand = result.demand
    assert demand.server_memory == pytest.approx(10)
    assert demand.waiting_memory == pytest.approx(5)
    assert demand.trivial_memory == pytest.approx(30)
    assert demand.recycle == pytest.approx(0.006)
    assert demand.session == pytest.approx(600)
    assert 100 < result.sizing.standby.servers < 150


def test_meters_do_not_count_because_their_sessions_are_over(measured: Summary) -> None:
    startup, sessions = measured.experiments
    cells = [
        msgspec.structs.replace(
            each, levels={name: value for name, value in each.levels.items() if name != "period"}
        )
        for each in sessions.cells
    ]
    meters = msgspec.structs.replace(sessions, cells=cells)
    changed = msgspec.structs.replace(measured, experiments=[startup, meters])
    assert economy.capacity(changed) is None


def test_without_starts_or_sessions_there_is_no_pool(measured: Summary) -> None:
    for kept in measured.experiments:
        assert economy.capacity(msgspec.structs.replace(measured, experiments=[kept])) is None


def test_costs_compare_like_with_like(measured: Summary) -> None:
    (found,) = economy.costs(measured)
    alphas = found.comparison.alphas
    assert found.comparison.test.launcher == "fork", "simulated memory is not set against real"
    login = alphas["login"]
    assert isinstance(login, Estimate)
    assert login.value == pytest.approx(2)


def test_without_a_pair_there_are_no_costs(measured: Summary) -> None:
    alone = msgspec.structs.replace(measured, experiments=measured.experiments[:1])
    assert economy.costs(alone) == []
