"""A wrapper that runs no servers and reports about them truthfully, and a core with its clock in the test's hand."""

import itertools
from typing import Final

from msgspec.structs import replace

from routing_manager.actions import Action
from routing_manager.core import Core
from routing_manager.directory import Instance
from routing_manager.outcomes import Refusal
from routing_manager.settings import Settings
from standby.ids import BootId, Epoch, Generation, Slot, Uid, WrapperId
from standby.messages import InstanceReport, Report, ReportReply
from standby.states import State, StopReason

_boots: Final = itertools.count(1)
CONTROL_URL: Final = "https://127.0.0.1:1"


class FakeWrapper:
    """Changes of its servers go into the next partial report; a full one tells everything."""

    def __init__(self, name: str, *, epoch: int = 1, capacity: int = 8) -> None:
        self.wrapper_id = WrapperId(name)
        self.epoch = Epoch(epoch)
        self.sequence = -1
        self.capacity = capacity
        self.draining = False
        self.control_url: str | None = CONTROL_URL
        self.slots: dict[int, InstanceReport] = {}
        self._changed: set[int] = set()

    def start(
        self, slot: int, state: State = State.READY, *, ticket: str | None = None
    ) -> InstanceReport:
        """A new process in the slot."""
        number = next(_boots)
        return self._set(
            InstanceReport(
                slot=Slot(slot),
                boot_id=BootId(f"{number:016x}"),
                address="127.0.0.1",
                port=1024 + number % 60_000,
                state=state,
                ticket=ticket,
            )
        )

    def ready(self, slot: int) -> InstanceReport:
        return self._set(replace(self.slots[slot], state=State.READY))

    def login(self, slot: int, user: str, generation: int | None = None) -> InstanceReport:
        return self._set(
            replace(
                self.slots[slot],
                state=State.ACTIVE,
                uid=Uid(user),
                generation=None if generation is None else Generation(generation),
            )
        )

    def stop(self, slot: int, reason: StopReason = StopReason.LOGOUT) -> InstanceReport:
        return self._set(replace(self.slots[slot], state=State.STOPPED, reason=reason))

    def remove(self, slot: int) -> None:
        """The slot is empty; only a full report can say so."""
        del self.slots[slot]
        self._changed.discard(slot)

    def restart(self) -> None:
        """A new life: servers die with their wrapper."""
        self.epoch = Epoch(self.epoch + 1)
        self.sequence = -1
        self.slots.clear()
        self._changed.clear()
        self.draining = False

    def full(self) -> Report:
        return self._report(sorted(self.slots), full=True)

    def partial(self) -> Report:
        return self._report(sorted(self._changed), full=False)

    def _report(self, slots: list[int], *, full: bool) -> Report:
        self.sequence += 1
        self._changed.clear()
        return Report(
            epoch=self.epoch,
            sequence=self.sequence,
            full=full,
            instances=[self.slots[slot] for slot in slots],
            capacity=self.capacity,
            draining=self.draining,
            control_url=self.control_url,
        )

    def _set(self, told: InstanceReport) -> InstanceReport:
        self.slots[told.slot] = told
        self._changed.add(told.slot)
        return told


class ClockedCore:
    """A core whose every call happens at `now`, settled from the start unless asked otherwise."""

    def __init__(self, *, settle: float = 0.0, **settings: object) -> None:
        self.settings = Settings(settle=settle, **settings)  # type: ignore[arg-type]  # as each test needs
        self.now = 1000.0
        self.core = Core(self.settings, self.now, "t")
        self.core.tick(self.now)

    def after(self, seconds: float) -> list[Action]:
        """Let time pass; what is to be done then."""
        self.now += seconds
        self.core.tick(self.now)
        return self.core.take_actions()

    def route(self, user: str, source: str | None = None) -> Instance | Refusal | None:
        return self.core.route(Uid(user), source, self.now)

    def report(self, wrapper: FakeWrapper, report: Report) -> ReportReply:
        return self.core.report(wrapper.wrapper_id, report, self.now)

    def tell(self, wrapper: FakeWrapper) -> list[Action]:
        """Deliver what has changed at the wrapper, in full if it was never heard; what is to be done then."""
        known = self.core.directory.known(wrapper.wrapper_id)
        fresh = known is None or known.epoch != wrapper.epoch
        self.report(wrapper, wrapper.full() if fresh else wrapper.partial())
        return self.core.take_actions()

    def booted(self, user: str) -> str:
        """The boot id of the process that the user is sent to."""
        found = self.route(user)
        assert isinstance(found, Instance), f"{user} is sent nowhere: {found}"
        return found.told.boot_id
