"""Who sends what at which moment; pure, and the same for the same seed, so that systems that are compared get the same.

Arrivals are open-loop: moments are decided beforehand and a slow answer does not move them. A place (`lane`) hosts one
session after another; the first sessions of all places begin at random within a time (a Poisson process, given their
number), requests within a session have the same distance, as the dissertation's (section 5.2.1). A session is one
connection, so a request that is due while the last one is not answered waits for it; its latency counts from when it
was due.
"""

import math
import random
from collections.abc import Iterator, Sequence

from msgspec import Struct

from bench.experiment.job import Client, Planned, Session
from smartgrid_client.requests import Operation


class Shape(Struct, frozen=True, kw_only=True):
    """Of a run's load; seconds of real time."""

    active: int
    sessions: int
    """Of each place."""
    spread: float
    pause: float
    session: float
    write_ratio: float | None
    """None: meters, whose session is one LONG_WRITE."""
    period: float | None

    @property
    def client(self) -> Client:
        return Client.METER if self.write_ratio is None else Client.CUSTOMER

    @property
    def seconds(self) -> float:
        """Until the last LOGOUT is due, at most; a meter's session counts as nothing."""
        length = self.session if self.client is Client.CUSTOMER else 0.0
        return self.spread + self.sessions * length + (self.sessions - 1) * self.pause


def sessions(shape: Shape, uids: Sequence[str], seed: int) -> list[Session]:
    """Every session of a run; no two of one user overlap, if there are at least as many users as places."""
    choose = random.Random(seed)  # noqa: S311  # a schedule, not a secret
    order = choose.sample(uids, len(uids))
    starts = [choose.uniform(0, shape.spread) for _ in range(shape.active)]
    planned: list[Session] = []
    for turn in range(shape.sessions):
        for lane, start in enumerate(starts):
            mine = order[lane :: shape.active]
            length = shape.session if shape.client is Client.CUSTOMER else 0.0
            begin = start + turn * (length + shape.pause)
            planned.append(
                Session(
                    number=len(planned),
                    lane=lane,
                    uid=mine[turn % len(mine)],
                    client=shape.client,
                    requests=list(_requests(shape, begin, choose)),
                )
            )
    return planned


def full(planned: Sequence[Session]) -> tuple[float, float] | None:
    """Between which moments every place has a session; None if that is not so, or not known (meters)."""
    begins: dict[int, float] = {}
    ends: dict[int, float] = {}
    for session in planned:
        first, last = session.requests[0].at, session.requests[-1].at
        if first is None or last is None:
            return None
        begins[session.lane] = min(first, begins.get(session.lane, first))
        ends[session.lane] = max(last, ends.get(session.lane, last))
    bounds = max(begins.values()), min(ends.values())
    return bounds if bounds[0] < bounds[1] else None


def _requests(shape: Shape, begin: float, choose: random.Random) -> Iterator[Planned]:
    yield Planned(begin, Operation.LOGIN)
    if shape.write_ratio is None or shape.period is None:
        yield Planned(None, Operation.LONG_WRITE)
        yield Planned(None, Operation.LOGOUT)
        return
    for number in range(1, _before(shape.session, shape.period)):
        write = choose.random() < shape.write_ratio
        yield Planned(
            begin + number * shape.period, Operation.WRITE if write else Operation.QUERY_AVG
        )
    yield Planned(begin + shape.session, Operation.LOGOUT)


def _before(length: float, period: float) -> int:
    """How many periods fill a session; LOGOUT takes the place of the last one's request."""
    return math.ceil(length / period - 1e-9)
