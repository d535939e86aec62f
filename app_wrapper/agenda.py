"""When something is due, by key: a heap in which changed and cancelled entries are skipped when they surface."""

import heapq
from collections.abc import Hashable
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)


class Agenda(Generic[KeyT]):
    """At most one time per key; all operations are O(log n)."""

    def __init__(self) -> None:
        self._times: dict[KeyT, float] = {}
        self._heap: list[tuple[float, int, KeyT]] = []
        self._added = 0

    def set(self, key: KeyT, when: float) -> None:
        self._times[key] = when
        self._added += 1
        heapq.heappush(self._heap, (when, self._added, key))

    def cancel(self, key: KeyT) -> None:
        self._times.pop(key, None)

    def next(self) -> float | None:
        """The earliest time, or None when nothing is planned."""
        while self._heap and self._times.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take_due(self, now: float) -> list[KeyT]:
        """The keys whose time has come, earliest first; they are no longer planned."""
        due = []
        while (when := self.next()) is not None and when <= now:
            key = heapq.heappop(self._heap)[2]
            del self._times[key]
            due.append(key)
        return due
