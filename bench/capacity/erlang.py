"""The queue M/M/c: how many of those who come must wait, and how many servers are enough.

For c servers and a load of a erlang (servers busy on average):

    Erlang B    B(0) = 1,  B(c) = a B(c-1) / (c + a B(c-1))     stable for any load
    Erlang C    C(c) = c B(c) / (c - a (1 - B(c)))              share of those who come that must wait, c > a

Source: A. K. Erlang, "Solution of some problems in the theory of probabilities of significance in automatic telephone
exchanges", 1917; the recursion and the conversion are in every textbook of queueing. The waiting time is exponential:
of those who wait, a share exp(-(c - a) t / h) waits longer than t, when each holds a server for h on average.

Rejected: the normal approximation a + z sqrt(a); it errs most for the small pools where a server more or less matters.
"""

from typing import Final

MOST_LOAD: Final = 1_000_000
"""Erlang. The recursion takes a step per server; this many take a fraction of a second, and a page needs many such."""


def erlang_b(servers: int, load: float) -> float:
    """Share of arrivals that find all servers busy, when nobody waits."""
    blocked = 1.0
    for count in range(1, servers + 1):
        blocked = load * blocked / (count + load * blocked)
    return blocked


def erlang_c(servers: int, load: float) -> float:
    """Share of arrivals that must wait; 1 when the servers are not enough for the load."""
    return _waiting(servers, load, erlang_b(servers, load))


def least_pool(load: float, wait_limit: float) -> tuple[int, float]:
    """The least number of servers with which at most the share `wait_limit` must wait, and the share that does."""
    servers, blocked, waiting = 0, 1.0, 1.0
    while waiting > wait_limit:
        servers += 1
        blocked = load * blocked / (servers + load * blocked)
        waiting = _waiting(servers, load, blocked)
    return servers, waiting


def _waiting(servers: int, load: float, blocked: float) -> float:
    if servers <= load:
        return 1.0
    return servers * blocked / (servers - load * (1 - blocked))
