"""Which faults happen, in which order: the same seed gives the same plan.

What it cannot fix in advance is the process: parts restart, so a fault names a kind and a lot, and `targets` finds
what is there. Kinds come in rounds of five, one of each. In each round one part is stopped, one is asked to end, the
others are killed, and a stranger floods the door. So a short run has every kind, and in a long one each part is killed
twice as often as it is stopped or asked to end.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    ROUTING_MANAGER = "routing_manager"
    WRAPPER = "wrapper"
    SERVER = "server"
    HAPROXY = "haproxy"
    STRANGER = "stranger"
    """No part: a peer without a certificate, at one address."""


PARTS: Final = (Kind.ROUTING_MANAGER, Kind.WRAPPER, Kind.SERVER, Kind.HAPROXY)


class Deed(StrEnum):
    KILL = "kill"
    """SIGKILL; the supervisor, or the wrapper, starts it again."""
    STOP = "stop"
    """SIGSTOP, and SIGCONT later."""
    TERMINATE = "terminate"
    """SIGTERM; the part ends in its own time (a wrapper drains), and is started again."""
    FLOOD = "flood"
    """Connections with made-up names, and with half a ClientHello."""


SHORTEST_PAUSE: Final = 0.3
LONGEST_PAUSE: Final = 1.8
SHORTEST_STOP: Final = 0.5
LONGEST_STOP: Final = 8.0
"""Longer than the silence after which a wrapper counts as lost, so that its users are sent elsewhere meanwhile."""
BUSY: Final = 0.75
"""Share of server faults that hit a server with a user, when there is one."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Durations in seconds."""

    kind: Kind
    deed: Deed
    pause: float
    """After the fault before has passed; lets what it did be told from what this one does."""
    lasts: float
    """How long, for a stop or a flood; 0 for the others."""
    lot: float
    """From [0, 1): which of several processes."""
    busy: bool
    """A server with a user, if there is one."""


def faults(seed: int) -> Iterator[Fault]:
    """The plan, without end."""
    dice = random.Random(seed)  # noqa: S311  # the same again for the same seed is what is wanted
    while True:
        order = dice.sample(PARTS, len(PARTS))
        for stopped, terminated in zip(order, order[1:] + order[:1], strict=True):
            deeds = dict.fromkeys(PARTS, Deed.KILL)
            deeds |= {stopped: Deed.STOP, terminated: Deed.TERMINATE, Kind.STRANGER: Deed.FLOOD}
            for kind in dice.sample(list(deeds), len(deeds)):
                yield _fault(kind, deeds[kind], dice)


def _fault(kind: Kind, deed: Deed, dice: random.Random) -> Fault:
    # every draw happens for every fault, so that one's values do not depend on another's deed
    length = dice.uniform(SHORTEST_STOP, LONGEST_STOP)
    return Fault(
        kind=kind,
        deed=deed,
        pause=dice.uniform(SHORTEST_PAUSE, LONGEST_PAUSE),
        lasts=length if deed in {Deed.STOP, Deed.FLOOD} else 0.0,
        lot=dice.random(),
        busy=dice.random() < BUSY,
    )
