"""Which copies of a user's volume are kept. Pure.

Kept are the newest few, and two more: the newest that is at least a day old, and the oldest that is younger than a day,
which becomes the former in time. So, whatever the sessions were that the copies follow:

    - of any state that was copied there is a copy until `newest` further ones were made: sessions that destroy data and
      end as good ones do, `newest` - 1 of them in a row, leave the state before the first of them;
    - for a day after any moment there is a copy from before it, if there was one then. Sessions can be many and quick,
      but they cannot make a day pass. That copy is two days old at most, or there was no other.

Ages are by this machine's clock. If the clock was wrong, the second rule does not hold for as long as it was wrong; the
first one asks no clock.

Rejected: keeping the newest copy from which a session began and ended well. All that is known of a session comes from
its server, and one that was taken over says of itself what any other says. And a session that begins with an emptied
database, and notices nothing, would have confirmed that one.
"""

from collections.abc import Sequence
from typing import Final, Protocol

NEWEST: Final = 3
"""Copies that are kept in any case: two sessions in a row may destroy what they were given."""
DAY: Final = 86_400.0
"""Seconds. Long enough for a person to notice that data is missing, and to ask for it."""


class Aged(Protocol):
    """A copy, as far as it matters here."""

    @property
    def number(self) -> int:
        """Grows with each copy of a volume."""

    @property
    def taken(self) -> float:
        """When it was made, in Unix seconds."""


def kept(copies: Sequence[Aged], newest: int, now: float) -> frozenset[int]:
    """The numbers of the copies that stay."""
    in_order = sorted(copies, key=lambda each: each.number)
    old = [each.number for each in in_order if now - each.taken >= DAY]
    young = [each.number for each in in_order if now - each.taken < DAY]
    latest = [each.number for each in in_order][-newest:] if newest else []
    return frozenset((*latest, *old[-1:], *young[:1]))
