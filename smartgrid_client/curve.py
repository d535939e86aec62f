"""The averages of a period, bucket after bucket, as a chart or a table shows them.

The server is asked for the period's extent first, so that the buckets suit what is there, and then for the buckets by
their edges, which only the client knows: servers have no time zones.
"""

import datetime as dt
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from smartgrid_client import periods, requests
from smartgrid_client.messages import LAST_SECOND, Metric
from smartgrid_client.periods import Bucket
from smartgrid_client.requests import MOST_EDGES
from smartgrid_client.session import Session

WANTED: Final = 200
"""Points at most, when the bucket is ours to choose: about one per two columns of a wide terminal."""


@dataclass(frozen=True, slots=True)
class Point:
    """`start` and `end` of the bucket are Unix seconds."""

    start: int
    end: int
    count: int
    average: float

    @property
    def middle(self) -> float:
        return (self.start + self.end) / 2


@dataclass(frozen=True, slots=True)
class Curve:
    """One point for each bucket that has readings, in order of time."""

    metric: Metric
    bucket: Bucket
    zone: dt.tzinfo
    points: Sequence[Point]

    def runs(self) -> Iterator[Sequence[Point]]:
        """Points in order of time, split where a bucket is missing."""
        run: list[Point] = []
        for each in self.points:
            if run and each.start != run[-1].end:
                yield run
                run = []
            run.append(each)
        if run:
            yield run


@dataclass(frozen=True, slots=True)
class Wanted:
    """A curve to ask for. `start` and `end` are Unix seconds; None: where readings begin and end."""

    metric: Metric
    zone: dt.tzinfo
    start: int | None = None
    end: int | None = None
    bucket: Bucket | None = None
    """None: one that suits the period."""


async def ask(session: Session, wanted: Wanted) -> Curve:
    """The curve, of what the server has.

    Raises:
        ClientError: a request failed for good.
        ValueError: there would be too many buckets.
    """
    whole = await session.perform(requests.query_avg(wanted.metric, wanted.start, wanted.end))
    if whole.first is None or whole.last is None:
        bucket = wanted.bucket or periods.FITTING[0]
        return Curve(wanted.metric, bucket, wanted.zone, [])
    bucket = wanted.bucket or periods.fitting(whole.first, whole.last + 1, WANTED)
    edges = periods.edges(whole.first, whole.last, bucket, wanted.zone)
    edges[0] = max(edges[0], wanted.start or 0)
    edges[-1] = min(edges[-1], wanted.end or LAST_SECOND)
    ends = dict(itertools.pairwise(edges))
    points: list[Point] = []
    for first in range(0, len(edges) - 1, MOST_EDGES - 1):
        some = edges[first : first + MOST_EDGES]
        answer = await session.perform(requests.query_avg_between(wanted.metric, some))
        points += (
            Point(each.start, ends[each.start], each.count, each.average)
            for each in answer.buckets
            if each.average is not None and each.start in ends
        )
    return Curve(wanted.metric, bucket, wanted.zone, points)
