"""How measured values are spread, by the dissertation's definition of quantiles."""

import math
from collections.abc import Iterable

from msgspec import Struct

from smartgrid_client.quantiles import percentile


class Spread(Struct, frozen=True, kw_only=True):
    """Of `count` values; the others are None without any."""

    count: int
    p50: float | None
    p99: float | None
    max: float | None


def ratio(measured: float | None, rival: float | None) -> float:
    """How many times the rival's; nan unless both were measured."""
    return measured / rival if measured is not None and rival else math.nan


def difference(measured: float | None, rival: float | None) -> float:
    """How much more than the rival's; nan unless both were measured."""
    return measured - rival if measured is not None and rival is not None else math.nan


def spread(values: Iterable[float]) -> Spread:
    ordered = sorted(values)
    return Spread(
        count=len(ordered),
        p50=percentile(ordered, 50),
        p99=percentile(ordered, 99),
        max=ordered[-1] if ordered else None,
    )
