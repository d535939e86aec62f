"""Quantiles as the dissertation defines them (section 5.2.2): the highest value among the fastest n % of all."""

from collections.abc import Sequence


def percentile(ordered: Sequence[float], percent: int) -> float | None:
    """The `percent`-th percentile (1 to 100) of values in ascending order, by nearest rank; None without values.

    Always one of the values: an interpolated one would be a latency that nobody has seen.
    """
    if not ordered:
        return None
    rank = -(-percent * len(ordered) // 100)  # ceiling, in integers: 0.07 * 100 is more than 7
    return ordered[rank - 1]
