"""Orders that were carried out, so that the same order again starts nothing more; of bounded size."""

from collections import OrderedDict

from standby.ids import Slot


class Tickets:
    """The slots that recent tickets were given, the oldest forgotten first.

    A forgotten ticket would start a second server, which ends by itself when nobody logs in to it; the Routing Manager
    repeats an order within seconds, so `limit` needs to cover seconds only.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._slots: OrderedDict[str, Slot] = OrderedDict()

    def __len__(self) -> int:
        return len(self._slots)

    def slot(self, ticket: str) -> Slot | None:
        return self._slots.get(ticket)

    def add(self, ticket: str, slot: Slot) -> None:
        self._slots[ticket] = slot
        while len(self._slots) > self._limit:
            self._slots.popitem(last=False)
