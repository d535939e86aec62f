"""Waiting is told apart from LOGIN, and has a reason."""

import pytest

from smartgrid_client.connection import Exchange
from smartgrid_client.errors import BusyError
from smartgrid_client.requests import Operation
from smartgrid_client.session import Attempt
from standby.messages import StateCounts
from standby_cli.demo.waits import Logins, why
from standby_cli.demo.watch import Sample


def _attempt(operation: Operation, latency: float, connect: float, late: float = 0.0) -> Attempt:
    exchange: Exchange[object] = Exchange(operation, 0.0, latency, connect, None)
    return Attempt(exchange, 1, late, repeated=False)


def test_waiting_of_all_tries_is_told_apart_from_the_login() -> None:
    logins = Logins()
    logins.add(_attempt(Operation.LOGIN, latency=0.25, connect=0.125))
    logins.add(_attempt(Operation.LOGIN, latency=0.75, connect=0.5, late=2.0))
    logins.add(_attempt(Operation.WRITE, latency=9.0, connect=9.0))
    busy: Exchange[object] = Exchange(Operation.LOGIN, 0.0, 9.0, 9.0, BusyError("busy"))
    logins.add(Attempt(busy, 1, 0.0, repeated=True))
    assert (logins.waiting().count, logins.waiting().p99_ms) == (2, 2500.0)
    assert (logins.alone().p50_ms, logins.alone().p99_ms) == (125.0, 250.0)


def _sample(waiting: int, **counts: int) -> Sample:
    return Sample(seconds=0.0, waiting=waiting, counts=StateCounts(**counts))


_WAITED = [
    _sample(2, ACTIVE=3),
    _sample(1, ACTIVE=2, STARTING=1),
    _sample(1, ACTIVE=3),
    _sample(0, READY=3),
]


def test_why_users_waited_is_one_line() -> None:
    assert why(_WAITED) == (
        "users waited 75 % of the time, up to 2 at once, because every server was in use (66 %),"
        " or a server was being replaced after its session (33 %)"
    )


@pytest.mark.parametrize("samples", [[], [_sample(0, ACTIVE=3)]])
def test_that_no_user_waited_is_said(samples: list[Sample]) -> None:
    assert why(samples) == "no user was seen waiting: a server was READY each time"
