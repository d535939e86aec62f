"""The slots of a pool: who sits where, and which vacant slot may start a server next. Pure.

Slots have the lowest free number, so that slot numbers stay small and mean the same places over time.
"""

import itertools
from collections.abc import Iterator

from app_wrapper.agenda import Agenda
from app_wrapper.errors import AtCapacityError
from app_wrapper.process import Dedicated, Ordered, Process, Purpose, Seat, Standby
from standby.ids import BootId, Slot, Uid


class Roster:
    """Every index of the pool's slots, kept true by the few methods that change one."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._seats: dict[Slot, Seat] = {}
        self._standby: dict[Slot, Seat] = {}
        self._by_user: dict[Uid, Seat] = {}
        self._by_boot: dict[BootId, Seat] = {}
        self._queue: dict[Slot, None] = {}
        self._pauses: Agenda[Slot] = Agenda()

    def __len__(self) -> int:
        return len(self._seats)

    def __iter__(self) -> Iterator[Seat]:
        return iter(list(self._seats.values()))

    @property
    def busy(self) -> int:
        """Processes of which something is left."""
        return len(self._by_boot)

    def processes(self) -> list[Process]:
        """Every slot's present or last process, by slot, except those that have no port yet."""
        seats = sorted(self, key=lambda seat: seat.slot)
        return [seat.process for seat in seats if seat.process and seat.process.port is not None]

    def missing(self) -> int:
        """Servers that should be up and are not."""
        lasting = [seat for seat in self if not isinstance(seat.purpose, Ordered)]
        return sum(not (seat.process and seat.process.up) for seat in lasting)

    def degraded(self) -> str | None:
        """Why servers are missing that should run, in words; None when all start."""
        failing = [seat for seat in self if seat.failing]
        if not failing:
            return None
        worst = max(failing, key=lambda seat: seat.failures)
        return (
            f"{len(failing)} of {len(self)} servers do not start "
            f"({worst.failures} times in a row): {worst.failure}"
        )

    def standby(self) -> list[Seat]:
        return list(self._standby.values())

    def dedicated(self, uid: Uid) -> Seat | None:
        return self._by_user.get(uid)

    def seat_of(self, boot_id: BootId) -> Seat | None:
        """The seat of a process that is not over."""
        return self._by_boot.get(boot_id)

    def add(self, purpose: Purpose) -> Seat:
        """A new slot, queued for a start; it may have to wait for the end of a process that is leaving.

        Raises:
            AtCapacityError: every slot is taken.
        """
        if len(self._seats) >= self.capacity + sum(seat.leaving for seat in self):
            raise AtCapacityError(f"this wrapper runs {self.capacity} servers at most")
        number = Slot(next(n for n in itertools.count() if n not in self._seats))
        seat = self._seats[number] = Seat(number, purpose)
        if isinstance(purpose, Standby):
            self._standby[number] = seat
        elif isinstance(purpose, Dedicated):
            self._by_user[purpose.uid] = seat
        self.queue(seat)
        return seat

    def remove(self, seat: Seat) -> None:
        del self._seats[seat.slot]
        self._standby.pop(seat.slot, None)
        self.hold_back(seat)
        if isinstance(seat.purpose, Dedicated):
            del self._by_user[seat.purpose.uid]

    def seated(self, seat: Seat, process: Process) -> None:
        """The slot has a new process."""
        seat.process = process
        self._by_boot[process.boot_id] = seat

    def left(self, process: Process) -> None:
        """Nothing of the process is left."""
        del self._by_boot[process.boot_id]

    def queue(self, seat: Seat) -> None:
        """The vacant slot may start a server when it is its turn."""
        self._pauses.cancel(seat.slot)
        self._queue[seat.slot] = None

    def pause(self, seat: Seat, until: float) -> None:
        """The vacant slot may start a server, but not before `until`."""
        self._pauses.set(seat.slot, until)

    def hold_back(self, seat: Seat) -> None:
        """The slot does not start anything for now."""
        self._queue.pop(seat.slot, None)
        self._pauses.cancel(seat.slot)

    @property
    def queued(self) -> int:
        """Slots whose turn has come or will come next."""
        return len(self._queue)

    def next_pause(self) -> float | None:
        return self._pauses.next()

    def end_pauses(self, now: float) -> None:
        for slot in self._pauses.take_due(now):
            self._queue[slot] = None

    def take_turns(self, count: int) -> list[Seat]:
        """Up to `count` slots whose turn it is, first come first served."""
        turns = [self._seats[slot] for slot in itertools.islice(self._queue, max(0, count))]
        for seat in turns:
            del self._queue[seat.slot]
        return turns
