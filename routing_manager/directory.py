"""What is known of wrappers and their server processes, with an index for every question that a route asks.

Each index is kept by one pair of methods (`_enter`, `_leave`) around every change, so they cannot drift apart:

    counts          processes per state
    ready           READY processes of wrappers that are not draining, the one READY for longest first
    sessions        ACTIVE processes per user, the one with the highest generation first
    wrappers        live wrappers, the one silent for longest first

Questions cost a constant amount of work, changes cost as much as has changed. It holds what was reported and promised
and decides nothing. `OrderedDict` and not `dict`: taking the first key of a dict walks over the keys deleted before
it, which makes a queue of n quadratic.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from math import inf

from standby.ids import Epoch, Slot, Uid, WrapperId
from standby.messages import InstanceReport, Presence, Report
from standby.states import State


@dataclass(slots=True, eq=False)
class Wrapper:
    """One App Wrapper, as its last accepted report described it."""

    wrapper_id: WrapperId
    epoch: Epoch
    sequence: int
    heard: float
    """When, on the Routing Manager's clock."""
    capacity: int = 0
    draining: bool = False
    degraded: str | None = None
    presence: Presence = Presence.LIVE
    control_url: str | None = None
    instances: "dict[Slot, Instance]" = field(default_factory=dict)
    live: int = 0
    """Processes that are not STOPPED."""
    ordered: int = 0
    """Starts ordered and not yet seen in a report."""
    paused_until: float = -inf
    """No start is ordered before."""


@dataclass(slots=True)
class Promise:
    """A process is kept for a user until `deadline`."""

    uid: Uid
    source: str | None
    """Where the user's connection came from, if that is known."""
    instance: "Instance"
    deadline: float
    exclusive_until: float
    """Nobody else is sent there before."""


@dataclass(slots=True, eq=False)
class Instance:
    """One server process: what its wrapper told last, and what only the Routing Manager knows."""

    wrapper: Wrapper
    told: InstanceReport
    state: State
    """`told.state`, or RESERVED while it is promised."""
    launched: float
    """On the Routing Manager's clock, by the age that was reported with it; without one, when it was first seen."""
    since: float
    """When it entered its state, likewise."""
    promise: Promise | None = None

    @property
    def user(self) -> Uid | None:
        return self.promise.uid if self.promise else self.told.uid


def _rank(instance: Instance) -> int:
    return -(instance.told.generation or 0)


class Directory:
    """The records and their indexes."""

    __slots__ = ("_sessions", "counts", "lost", "ready", "version", "wrappers")

    def __init__(self) -> None:
        self.wrappers: OrderedDict[WrapperId, Wrapper] = OrderedDict()
        self.lost: OrderedDict[WrapperId, Wrapper] = OrderedDict()
        """Wrappers that left or fell silent: without processes, kept for their epoch and for the operator to see."""
        self.version = 0
        """Grows with every change that a reader of the state can see."""
        self.counts: dict[State, int] = dict.fromkeys(State, 0)
        self.ready: OrderedDict[Instance, None] = OrderedDict()
        self._sessions: dict[Uid, list[Instance]] = {}

    def known(self, wrapper_id: WrapperId) -> Wrapper | None:
        """The wrapper, also if it is lost."""
        return self.wrappers.get(wrapper_id) or self.lost.get(wrapper_id)

    def session_of(self, uid: Uid) -> Instance | None:
        """Where the user is ACTIVE; of two such processes the one that claimed the user's volume last."""
        sessions = self._sessions.get(uid)
        return sessions[0] if sessions else None

    def heard(self, wrapper_id: WrapperId, report: Report, now: float) -> Wrapper:
        """The wrapper's record, brought up to date with all of the report but its instances and `draining`."""
        wrapper = self.known(wrapper_id)
        if wrapper is None:
            wrapper = Wrapper(wrapper_id, report.epoch, report.sequence, now)
        before = wrapper.epoch, wrapper.capacity, wrapper.degraded, wrapper_id in self.wrappers
        self.lost.pop(wrapper_id, None)
        wrapper.presence = Presence.LIVE
        self.wrappers[wrapper_id] = wrapper
        self.wrappers.move_to_end(wrapper_id)
        wrapper.epoch, wrapper.sequence, wrapper.heard = report.epoch, report.sequence, now
        wrapper.capacity, wrapper.degraded = report.capacity, report.degraded
        wrapper.control_url = report.control_url
        self.version += before != (wrapper.epoch, wrapper.capacity, wrapper.degraded, True)
        return wrapper

    def set_draining(self, wrapper: Wrapper, *, draining: bool) -> None:
        """Take the wrapper's READY processes out of the pool, or put them back."""
        for instance in wrapper.instances.values():
            self._leave(instance)
        wrapper.draining = draining
        self.version += 1
        for instance in wrapper.instances.values():
            self._enter(instance)

    def add(self, wrapper: Wrapper, told: InstanceReport, now: float) -> Instance:
        launched = since = now
        if told.ages is not None:
            launched, since = now - told.ages.process, now - told.ages.state
        instance = Instance(wrapper, told, told.state, launched, since)
        wrapper.instances[told.slot] = instance
        self._enter(instance)
        return instance

    def move(self, instance: Instance, state: State, told: InstanceReport, now: float) -> None:
        """Give the process a new state, new details, or both."""
        self._leave(instance)
        if instance.state is not state:
            instance.since = now
        instance.state, instance.told = state, told
        self._enter(instance)

    def remove(self, instance: Instance) -> None:
        self._leave(instance)
        del instance.wrapper.instances[instance.told.slot]

    def drop(self, instance: Instance) -> None:
        """As `remove`, of a process whose record cannot be relied on; an error may have left any index half changed."""
        instances = instance.wrapper.instances
        for slot in [slot for slot, each in instances.items() if each is instance]:
            del instances[slot]
        self._recount()

    def lose(self, wrapper: Wrapper, presence: Presence) -> None:
        """Put the wrapper, whose processes have been removed, among those that left or are lost."""
        wrapper.presence = presence
        del self.wrappers[wrapper.wrapper_id]
        self.lost[wrapper.wrapper_id] = wrapper
        self.version += 1

    def forget(self, wrapper: Wrapper) -> None:
        """No longer know a wrapper that left or is lost."""
        del self.lost[wrapper.wrapper_id]
        self.version += 1

    def _recount(self) -> None:
        """Make every index anew; the order of READY processes is kept."""
        known = [each for wrapper in self.wrappers.values() for each in wrapper.instances.values()]
        order = {instance: number for number, instance in enumerate(self.ready)}
        for wrapper in self.wrappers.values():
            wrapper.live = 0
        self.ready.clear()
        self._sessions.clear()
        self.counts = dict.fromkeys(State, 0)
        for instance in sorted(known, key=lambda each: order.get(each, len(order))):
            self._enter(instance)

    def _enter(self, instance: Instance) -> None:
        state = instance.state
        self.version += 1
        self.counts[state] += 1
        instance.wrapper.live += state is not State.STOPPED
        if state is State.READY and not instance.wrapper.draining:
            self.ready[instance] = None
        elif state is State.ACTIVE and instance.told.uid is not None:
            sessions = self._sessions.setdefault(instance.told.uid, [])
            sessions.append(instance)
            sessions.sort(key=_rank)

    def _leave(self, instance: Instance) -> None:
        state = instance.state
        self.version += 1
        self.counts[state] -= 1
        instance.wrapper.live -= state is not State.STOPPED
        self.ready.pop(instance, None)
        if state is State.ACTIVE and instance.told.uid is not None:
            sessions = self._sessions[instance.told.uid]
            sessions.remove(instance)
            if not sessions:
                del self._sessions[instance.told.uid]
