"""Which rows of a LONG_WRITE can be stored, and why the others cannot.

A row that cannot be stored costs that row: a wrong type, a value out of range, no value at all, a time that no meter of
today can mean. Everything else about the message (its JSON, its fields) is the whole message's error. Pure.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final

from msgspec import Meta, Raw, Struct

from smartgrid_server.errors import BatchTooLargeError
from smartgrid_server.messages import (
    LAST_SECOND,
    MOST_ITEMS,
    MOST_REJECTIONS,
    REASON_TEXT,
    BatchId,
    LongWriteRequest,
    Rejection,
    Row,
)
from standby import decode
from standby.decode import UnreadableError
from standby.text import printable

EARLIEST: Final = 946_684_800
"""Unix seconds of the year 2000: no smart meter has measured before."""
AHEAD: Final = 86_400.0
"""Seconds; a clock that is set to local time instead of UTC is up to 14 hours ahead."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one LONG_WRITE, and of its rows' times."""

    most: int
    """Rows."""
    earliest: int = EARLIEST
    """Unix seconds."""
    ahead: float = AHEAD
    """Seconds after the server's time."""


@dataclass(slots=True)
class Rows:
    """What a LONG_WRITE asks for."""

    accepted: list[Row]
    rejections: list[Rejection]
    """The first of them."""
    rejected: int
    correct: bool

    def reject(self, place: int, reason: str) -> None:
        self.rejected += 1
        if len(self.rejections) < MOST_REJECTIONS:
            self.rejections.append(Rejection(row=place, reason=reason))


class _Unchecked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`LongWriteRequest` whose rows may be anything."""

    rows: Annotated[list[Raw], Meta(max_length=MOST_ITEMS)]
    correct: bool = False
    batch_id: BatchId | None = None


def read(body: bytes, bounds: Bounds, now: float) -> Rows:
    """The request in the body of a LONG_WRITE at `now` (Unix seconds).

    Raises:
        UnreadableError: the message is none, whatever its rows are.
        BatchTooLargeError: it has more than `bounds.most` rows.
    """
    request: LongWriteRequest | _Unchecked
    try:
        request = decode.json(body, LongWriteRequest)
    except UnreadableError:
        request = decode.json(body, _Unchecked)
    if len(request.rows) > bounds.most:
        raise BatchTooLargeError(f"{len(request.rows)} rows in a batch; send {bounds.most} at most")
    first, last = bounds.earliest, min(int(now + bounds.ahead), LAST_SECOND - 1)
    found = Rows([], [], 0, request.correct)
    for place, row in enumerate(_checked(request)):
        if isinstance(row, str):
            found.reject(place, row)
        elif row[1] is row[2] is row[3] is None:
            found.reject(place, "it has no value")
        elif first <= row[0] <= last:
            found.accepted.append(row)
        else:
            within = f"from {_moment(first)} to {_moment(last)}"
            found.reject(place, f"its time is {_moment(row[0])}, not {within}")
    return found


def _checked(request: LongWriteRequest | _Unchecked) -> Iterator[Row | str]:
    """Each row, or why it is none."""
    if isinstance(request, LongWriteRequest):
        yield from request.rows
        return
    for raw in request.rows:
        try:
            yield decode.json(raw, Row)
        except UnreadableError as error:
            yield printable(str(error), REASON_TEXT)


def _moment(timestamp: int) -> str:
    return f"{dt.datetime.fromtimestamp(timestamp, dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
