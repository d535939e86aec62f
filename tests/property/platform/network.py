"""What lies between the parts: messages arrive soon and once, unless something else was planned for them."""

from collections import defaultdict, deque
from enum import StrEnum
from random import Random
from typing import Final

from tests.property.platform.agenda import Agenda, Do

SOON: Final = 0.002
"""Seconds a message takes when nothing is wrong."""
_LOST, _LATE, _TWICE = 0.15, 0.15, 0.1
"""Shares of the messages of a storm."""


class Kind(StrEnum):
    REPORT = "a wrapper's report"
    REPLY = "the Routing Manager's reply to it"
    QUESTION = "the load balancer's question"
    ROUTE = "the Routing Manager's answer"
    ORDER = "an order of a server"
    SAID = "a server's line"
    TOLD = "a wrapper's line"
    CONNECT = "a client's connection"
    REQUEST = "a client's request"
    ANSWER = "a server's answer"
    # inside one machine: may be slow, is never lost or repeated
    CHANNEL = "what a server says over its channel, or is answered"
    STDIN = "the end of stdin"
    EXIT = "a process's end"
    VOLUME = "the volume provider"
    DISK = "the database"


LOCAL: Final = frozenset({Kind.CHANNEL, Kind.STDIN, Kind.EXIT, Kind.VOLUME, Kind.DISK})
ONCE: Final = frozenset({Kind.CONNECT})
"""Never repeated: one handshake is one connection."""
Fate = tuple[float, ...]
"""After how many seconds a message arrives; more than one: again; none: never."""


class Network:
    """Decides each message's fate: planned for the next one of its kind, else by the weather."""

    def __init__(self, agenda: Agenda) -> None:
        self._agenda = agenda
        self._planned: dict[Kind, deque[Fate]] = defaultdict(deque)
        self._ambushes: dict[Kind, list[Do]] = defaultdict(list)
        self._storm: Random | None = None

    def plan(self, kind: Kind, fate: Fate) -> None:
        self._planned[kind].append(fate)

    def ambush(self, kind: Kind, do: Do) -> None:
        """Right after the next message of that kind has arrived, and before anything that follows from it."""
        self._ambushes[kind].append(do)

    def storm(self, seed: int) -> None:
        self._storm = Random(seed)

    def calm(self) -> None:
        """From now on every message arrives soon, once; those under way stay so."""
        self._storm = None
        self._planned.clear()
        self._ambushes.clear()

    def send(self, kind: Kind, deliver: Do, *, once: bool = False) -> None:
        fate = self._fate(kind)
        if kind in LOCAL:
            fate = fate[:1] or (SOON,)
        if once or kind in ONCE:
            fate = fate[:1]
        for delay in fate:
            self._agenda.after(delay, lambda: self._arrive(kind, deliver))

    def _fate(self, kind: Kind) -> Fate:
        if self._planned[kind]:
            return self._planned[kind].popleft()
        if self._storm is None:
            return (SOON,)
        luck, late = self._storm.random(), self._storm.expovariate(1.0)
        if luck < _LOST:
            return ()
        if luck < _LOST + _LATE:
            return (late,)
        if luck < _LOST + _LATE + _TWICE:
            return (SOON, late)
        return (SOON * (1 + self._storm.random()),)

    def _arrive(self, kind: Kind, deliver: Do) -> None:
        ambushes = self._ambushes.pop(kind, [])
        deliver()
        for do in ambushes:
            do()
