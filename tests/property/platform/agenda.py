"""The simulated world's time: what happens next, clocks that disagree, and processes that live by them."""

import heapq
import itertools
from collections.abc import Callable
from math import inf

Do = Callable[[], None]


class Event:
    """Something that happens at its time, unless it is cancelled before."""

    __slots__ = ("do",)

    def __init__(self, do: Do) -> None:
        self.do: Do | None = do

    def cancel(self) -> None:
        self.do = None


class Agenda:
    """What is going to happen, in order of time, and of planning for what happens at once. Seconds of no clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self._heap: list[tuple[float, int, Event]] = []
        self._numbers = itertools.count()

    def after(self, seconds: float, do: Do) -> Event:
        event = Event(do)
        heapq.heappush(self._heap, (self.now + max(0.0, seconds), next(self._numbers), event))
        return event

    def step(self, until: float = inf) -> bool:
        """Let the next thing happen; False when there is none up to then, and it is then."""
        while self._heap and self._heap[0][0] <= until:
            self.now, _, event = heapq.heappop(self._heap)
            if event.do is not None:
                event.do()
                return True
        if until < inf:
            self.now = until
        return False


class Clock:
    """A machine's monotonic clock: it begins anywhere and goes at a rate of its own."""

    def __init__(self, agenda: Agenda, rate: float, offset: float) -> None:
        self.agenda = agenda
        self.rate = rate
        self._offset = offset

    def read(self) -> float:
        return self._offset + self.agenda.now * self.rate


class Part:
    """One life of one process. What happens to it goes through `take`: dead, it takes nothing; stopped, later."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.alive = True
        self._stopped_until = 0.0

    @property
    def now(self) -> float:
        return self.clock.read()

    @property
    def stopped(self) -> bool:
        """Whether it was stopped (SIGSTOP), or continues just now and has not caught up."""
        return self.clock.agenda.now <= self._stopped_until

    def stop(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after so long."""
        self._stopped_until = max(self._stopped_until, self.clock.agenda.now + seconds)

    def go_on(self) -> None:
        self._stopped_until = min(self._stopped_until, self.clock.agenda.now)

    def take(self, do: Do) -> None:
        if not self.alive:
            return
        wait = self._stopped_until - self.clock.agenda.now
        if wait > 0:
            self.clock.agenda.after(wait, lambda: self.take(do))
        else:
            do()

    def after(self, seconds: float, do: Do) -> Event:
        """In that many seconds of its own clock."""
        event = self.clock.agenda.after(
            seconds / self.clock.rate, lambda: self.take(unless_cancelled)
        )

        def unless_cancelled() -> None:  # while it was stopped
            if event.do is not None:
                do()

        return event

    def at(self, when: float, do: Do) -> Event:
        """When its own clock shows that, or just after."""
        return self.after(max(0.0, when - self.now) + 1e-6, do)
