"""The load balancer by itself: real HAProxies, a real Routing Manager, backends and a driver, all small."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.experiment import rows
from bench.experiment.ingress.backends import serving
from bench.experiment.ingress.balancers import Way, balancer
from bench.experiment.ingress.driver import drive
from bench.experiment.ingress.load import Driven, Job, Load
from bench.experiment.ingress.stage import REQUESTS, Stage, stage
from standby.processes import reserve_port, start_time

BACKENDS = 10
HEADER = (
    "user,client,session,operation,intended_s,lag_ms,connect_ms,latency_ms,status,error,warm_up"
)
OPEN = Load(rate=200.0, clients=0, seconds=0.6, warm_up=0.2, seed=5)
CLOSED = Load(rate=None, clients=20, seconds=0.4, warm_up=0.1, seed=5)
NO_MANAGER = 1
"""Port of the Routing Manager where there is a map instead."""


@contextmanager
def mapped(places: Mapping[str, int]) -> Iterator[int]:
    with balancer(Way.STATIC, places, NO_MANAGER) as running:
        yield running.port


def ends(port: int, users: list[str], load: Load, requests: Path) -> dict[str, set[str]]:
    """How each user's connections ended."""
    drive(Job(port=port, users=users, load=load, requests_file=str(requests)))
    found: dict[str, set[str]] = {user: set() for user in users}
    for row in rows.read(requests):
        found[row.user].add(row.error)
    return found


def check_open(driven: Driven, requests: Path) -> None:
    """Arrivals are of a Poisson process with a mean of 160 (standard deviation 13), a quarter of it warm-up."""
    assert requests.read_text().splitlines()[0] == HEADER
    written = rows.read(requests)
    measured = [row for row in written if not row.warm_up]
    assert 100 < len(written) < 220
    assert driven.done == len(measured)
    assert {(row.client, row.session, row.operation) for row in written} == {("", "", "CONNECT")}
    assert {(row.status, row.error) for row in written} == {(200, "")}
    assert all(0 < row.connect_ms <= row.latency_ms for row in written)
    assert all(bool(row.warm_up) == (row.intended_s < OPEN.warm_up) for row in written)
    assert max(row.intended_s for row in written) < OPEN.length
    counts = Counter(row.user for row in written)
    assert len(counts) == BACKENDS
    assert max(counts.values()) - min(counts.values()) <= 1, "users take turns"


def check_ways(running: Stage, directory: Path) -> None:
    asked = {}
    for way in ("hook", "hook-first", "static"):
        driven = running.run(way, OPEN, directory)
        assert driven.failed == 0
        check_open(driven, directory / REQUESTS)
        asked[way] = driven.asked
    assert 0.3 < asked["hook"] < 0.7, "HAProxy remembers a route for one connection"
    assert asked["hook-first"] > 0.9
    assert asked["static"] == 0


def test_every_way_leads_to_the_user_s_backend_and_nothing_is_left_running(tmp_path: Path) -> None:
    drivers: list[int] = []
    with stage(BACKENDS) as running:
        check_ways(running, tmp_path)
        for way in ("hook", "static"):
            driven = running.run(way, CLOSED, tmp_path, on_start=drivers.append)
            assert driven.failed == 0
            assert driven.done > CLOSED.clients, "a client connects again and again"
            assert driven.throughput == pytest.approx(driven.done / CLOSED.seconds, rel=0.5)
        pids = [*running.pids.values(), *drivers]
        assert len(set(pids)) == 7
        assert all(start_time(pid) for pid in running.pids.values())
    assert not any(start_time(pid) for pid in pids)


def test_an_interrupt_in_a_run_ends_everything(tmp_path: Path) -> None:
    pids: list[int] = []

    def interrupt(driver: int) -> None:
        pids.append(driver)
        raise KeyboardInterrupt

    def interrupted() -> None:
        with stage(BACKENDS) as running:
            pids.extend(running.pids.values())
            running.run("hook", OPEN, tmp_path, on_start=interrupt)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(pids) == 6
    assert not any(start_time(pid) for pid in pids)


def test_whoever_is_sent_to_another_user_s_backend_or_to_none_is_told_from_the_others(
    tmp_path: Path,
) -> None:
    with serving(4) as served:
        users = list(served.places)
        wrong = dict(served.places)
        wrong[users[0]] = served.places[users[1]]
        del wrong[users[2]]
        with mapped(wrong) as port:
            found = ends(port, users, OPEN, tmp_path / REQUESTS)
    assert found == dict(zip(users, [{"misrouted"}, {""}, {"refused"}, {""}], strict=True))


def test_clients_that_cannot_connect_try_again_after_a_pause(tmp_path: Path) -> None:
    requests = tmp_path / REQUESTS
    with reserve_port() as silent:
        found = ends(silent.getsockname()[1], ["user-0"], CLOSED, requests)
    assert found == {"user-0": {"unreachable"}}
    tries = len(rows.read(requests))
    assert CLOSED.clients < tries <= CLOSED.clients * CLOSED.length / 0.05
    assert {row.status for row in rows.read(requests)} == {0}
