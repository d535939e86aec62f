"""Users in an order that is fair to the sources they come from: the sources take turns, each with its oldest user.

A source without a user here has no turn to keep: when one comes, it is behind every source that has one now. So a user
is served after at most one turn of each other source, for each user of the same source who came before. However many
users a source sends, it delays those of another one by one turn.

Each operation costs a constant amount of work; the order is read as far as it is needed. None, the unknown source, is
a source like any other.

Rejected: preferring sources that were not seen for a while, because many such sources would starve those that wait.
"""

from collections import OrderedDict
from collections.abc import Iterator

from standby.ids import Uid

Source = str | None
Line = OrderedDict[Uid, None]


class Turns:
    """Each user once; a user's source does not change as long as the user is here."""

    __slots__ = ("_by_size", "_largest", "_lines", "_source_of")

    def __init__(self) -> None:
        self._source_of: dict[Uid, Source] = {}
        self._lines: OrderedDict[Source, Line] = OrderedDict()
        """The users of each source, none empty; the source whose turn is next first."""
        self._by_size: dict[int, OrderedDict[Source, None]] = {}
        """The sources by the number of their users. They change by one, so the largest is always known."""
        self._largest = 0

    def __len__(self) -> int:
        return len(self._source_of)

    def __contains__(self, uid: Uid) -> bool:
        return uid in self._source_of

    def __iter__(self) -> Iterator[Uid]:
        """All, in order; nothing may change meanwhile."""
        lines: list[Iterator[Uid]] = []
        for line in self._lines.values():
            users = iter(line)
            yield next(users)
            lines.append(users)
        while lines:
            remaining = []
            for users in lines:
                uid = next(users, None)
                if uid is not None:
                    yield uid
                    remaining.append(users)
            lines = remaining

    def first(self) -> Uid:
        return next(iter(next(iter(self._lines.values()))))

    def count(self, source: Source) -> int:
        """How many users of this source are here."""
        return len(self._lines.get(source, ()))

    def newest_of_most(self) -> tuple[Uid, int]:
        """The newest user of the source that has the most, and how many it has."""
        source = next(iter(self._by_size[self._largest]))
        return next(reversed(self._lines[source])), self._largest

    def join(self, uid: Uid, source: Source) -> None:
        """The user is the last one of this source."""
        if uid in self._source_of:
            return
        self._source_of[uid] = source
        line = self._lines.setdefault(source, OrderedDict())
        line[uid] = None
        self._resize(source, len(line) - 1, len(line))

    def put_first(self, uid: Uid, source: Source) -> None:
        """The user is the next one, and the source's turn is next."""
        self.join(uid, source)
        source = self._source_of[uid]
        self._lines[source].move_to_end(uid, last=False)
        self._lines.move_to_end(source, last=False)

    def serve(self, uid: Uid) -> Source:
        """The user leaves with what all wait for: the source, which is returned, has had its turn."""
        source = self._source_of[uid]
        self.leave(uid)
        if source in self._lines:
            self._lines.move_to_end(source)
        return source

    def leave(self, uid: Uid) -> None:
        """The user, if here, leaves with nothing: the source keeps its turn."""
        if uid not in self._source_of:
            return
        source = self._source_of.pop(uid)
        line = self._lines[source]
        del line[uid]
        self._resize(source, len(line) + 1, len(line))
        if not line:
            del self._lines[source]

    def _resize(self, source: Source, before: int, size: int) -> None:
        if size:
            self._by_size.setdefault(size, OrderedDict())[source] = None
        if before:
            peers = self._by_size[before]
            del peers[source]
            if not peers:
                del self._by_size[before]
        if size > self._largest or self._largest not in self._by_size:
            self._largest = size
