"""How large a pool must be, and what it needs beside the trivial approach.

A LOGIN takes a server from the pool and keeps it for the session and the recycle after it. So the pool is a queue with
c servers and a waiting room, M/M/c:

    sessions in progress    L = users * active ratio = arrivals * session       (Little's law, which gives the session)
    offered load            a = arrivals * (session + recycle)                  erlang: servers busy on average
    pool                    the least c with ErlangC(c, a) <= the longest acceptable share, see `erlang.py`

Memory is counted twice. `usual` is with L sessions and the rest of the pool waiting. `most` is with a session in every
server, and decides the number of nodes: a node that is full when all is busy fails when it is needed. The trivial
approach has a server for each user, always.

Not promised:
- Poisson arrivals, which the formula assumes. Users who all come at 7 o'clock, or meters on one clock, need more: give
  the arrivals of the busiest minutes.
- Exponential durations, which it assumes as well. For other durations with the same mean Erlang C holds approximately
  (Erlang B would hold exactly), well when most need not wait.
- A limited number of users. Near an active ratio of 1 it asks for more servers than users, where one each would do.
- Waiting without end. Users give up, and the platform's waiting room sends them away after `deadlines.WAITING_ROOM`.
"""

import math
from collections.abc import Sequence
from typing import Final

from msgspec import Struct, structs

from bench.capacity.erlang import MOST_LOAD, least_pool
from standby import deadlines
from standby.errors import BadRequestError

_LEAST: Final = 1e-9
_MOST: Final = 1e12
"""Of any number of a demand; beyond it is a slip, and here nothing overflows."""
_MAY_BE_0: Final = frozenset({"recycle", "waiting_memory", "template_memory"})


class DemandError(BadRequestError):
    """Something about the demand cannot be; the message says what."""

    code = "bad_demand"


class Demand(Struct, frozen=True, kw_only=True):
    """Who comes, and what a server needs. Memory in MiB, times in seconds."""

    users: int
    active_ratio: float
    """Of the users, how many have a session at the same time: more than 0, at most 1."""
    arrivals: float
    """Sessions that begin, per second."""
    recycle: float
    """From a LOGOUT until a fresh server waits in its place."""
    server_memory: float
    """Of a pool's server in a session."""
    waiting_memory: float
    """Of a pool's server that waits."""
    trivial_memory: float
    """Of the trivial approach's server."""
    template_memory: float
    """Of what servers are forked from, one per node; 0 without."""
    node_memory: float
    """Of a node, usable for servers."""
    wait_limit: float
    """Longest acceptable share of LOGINs that must wait: between 0 and 1."""

    def __post_init__(self) -> None:
        """A demand that cannot be met or understood is refused here.

        Raises:
            DemandError: why.
        """
        _check(self)

    @property
    def sessions(self) -> float:
        """In progress, on average."""
        return self.users * self.active_ratio

    @property
    def session(self) -> float:
        """Seconds, on average."""
        return self.sessions / self.arrivals

    @property
    def held(self) -> float:
        """Seconds that a session keeps a server, on average."""
        return self.session + self.recycle

    @property
    def load(self) -> float:
        """Erlang."""
        return self.arrivals * self.held


class Footprint(Struct, frozen=True, kw_only=True):
    """What an approach needs; memory in MiB."""

    servers: int
    nodes: int
    usual: float
    most: float


class Sizing(Struct, frozen=True, kw_only=True):
    """The answer."""

    sessions: float
    """In progress, on average."""
    session: float
    """Seconds, on average."""
    load: float
    """Erlang."""
    wait_share: float
    """LOGINs that must wait."""
    wait: float
    """Seconds that those who must wait do so, on average."""
    refused_share: float
    """LOGINs that would have to wait longer than the platform's waiting room lets them."""
    standby: Footprint
    trivial: Footprint


class Point(Struct, frozen=True, kw_only=True):
    """The answer for another active user ratio, sessions being as long as they are."""

    active_ratio: float
    standby: Footprint
    trivial: Footprint


def size(demand: Demand) -> Sizing:
    """Pool, nodes and memory for this demand, and the trivial approach's."""
    servers, waiting = least_pool(demand.load, demand.wait_limit)
    spare = servers - demand.load
    return Sizing(
        sessions=demand.sessions,
        session=demand.session,
        load=demand.load,
        wait_share=waiting,
        wait=demand.held / spare,
        refused_share=waiting * math.exp(-spare * deadlines.WAITING_ROOM / demand.held),
        standby=_standby(demand, servers, demand.sessions),
        trivial=_trivial(demand),
    )


def curve(demand: Demand, active_ratios: Sequence[float]) -> list[Point]:
    """The same users, as often active as these ratios say; sessions stay as long as they are."""
    points = []
    for ratio in active_ratios:
        sessions = demand.users * ratio
        servers, _ = least_pool(sessions * demand.held / demand.session, demand.wait_limit)
        standby = _standby(demand, servers, sessions)
        points.append(Point(active_ratio=ratio, standby=standby, trivial=_trivial(demand)))
    return points


def _standby(demand: Demand, servers: int, sessions: float) -> Footprint:
    per_node = int((demand.node_memory - demand.template_memory) // demand.server_memory)
    nodes = math.ceil(servers / per_node)
    templates = nodes * demand.template_memory
    waiting = (servers - sessions) * demand.waiting_memory
    return Footprint(
        servers=servers,
        nodes=nodes,
        usual=templates + sessions * demand.server_memory + waiting,
        most=templates + servers * demand.server_memory,
    )


def _trivial(demand: Demand) -> Footprint:
    memory = demand.users * demand.trivial_memory
    per_node = int(demand.node_memory // demand.trivial_memory)
    nodes = math.ceil(demand.users / per_node)
    return Footprint(servers=demand.users, nodes=nodes, usual=memory, most=memory)


def _check(demand: Demand) -> None:
    for name, value in structs.asdict(demand).items():
        least = 0 if name in _MAY_BE_0 else _LEAST
        if not least <= value <= _MOST:
            raise DemandError(
                f"{name.replace('_', ' ')}: {value} is not from {least:g} to {_MOST:g}"
            )
    if demand.active_ratio > 1:
        raise DemandError(f"active ratio: {demand.active_ratio:g} is above 1, which is all users")
    if demand.wait_limit >= 1:
        raise DemandError(f"wait limit: {demand.wait_limit:g} is not below 1")
    if demand.waiting_memory > demand.server_memory:
        raise DemandError("waiting memory: a server that waits needs no more than in a session")
    least_node = max(demand.template_memory + demand.server_memory, demand.trivial_memory)
    if demand.node_memory < least_node:
        raise DemandError(
            f"node memory: {demand.node_memory:g} MiB do not hold one server; "
            f"these need at least {least_node:g}"
        )
    if demand.load > MOST_LOAD:
        raise DemandError(
            f"{demand.load:.3g} servers are busy on average, and more than {MOST_LOAD:,} are not "
            "calculated; divide the users among several platforms"
        )
