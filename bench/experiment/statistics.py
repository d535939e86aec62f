"""Percentiles and their intervals.

A percentile is always a latency that somebody has seen (nearest rank, as the dissertation defines it in section 5.2.2).
Its interval is a bootstrap over sessions, not over requests: requests of one session share a server, a connection and a
moment, so they are not independent, and drawing them one by one would give intervals that are too narrow (B. Efron and
R. Tibshirani, An Introduction to the Bootstrap, 1993, sections 8.4 and 13.3). Ratios are of independent draws.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bench.experiment.record import CONFIDENCE, Estimate

Values: TypeAlias = NDArray[np.float64]
DRAWS: Final = 400
_SEED: Final = 20210801
"""Any; the same data give the same intervals."""


@dataclass(frozen=True)
class Latencies:
    """Of one kind of request, ascending, and in which session each was."""

    values: Values
    sessions: NDArray[np.int64]
    """Numbers from 0 without gaps, one for each value."""

    @classmethod
    def of(cls, values: Sequence[float], sessions: Sequence[Hashable]) -> "Latencies":
        numbers = {name: number for number, name in enumerate(dict.fromkeys(sessions))}
        order = np.argsort(np.array(values, dtype=np.float64), kind="stable")
        numbered = np.array([numbers[each] for each in sessions], dtype=np.int64)
        return cls(np.array(values, dtype=np.float64)[order], numbered[order])

    def percentile(self, percent: float) -> float:
        """By nearest rank.

        Raises:
            ValueError: there are no values.
        """
        if not self.values.size:
            raise ValueError("no values")
        rank = max(1, int(np.ceil(percent * self.values.size / 100 - 1e-9)))
        return float(self.values[rank - 1])

    def draws(self, percent: float) -> Values:
        """The percentile in samples drawn anew, sessions with replacement; shape (`DRAWS`,)."""
        random = np.random.default_rng(_SEED)
        count = int(self.sessions.max()) + 1
        drawn = np.empty(DRAWS)
        for number in range(DRAWS):
            often = np.bincount(random.integers(0, count, count), minlength=count)
            upto = np.cumsum(often[self.sessions])
            wanted = percent / 100 * upto[-1] - 1e-9
            drawn[number] = self.values[np.searchsorted(upto, wanted)] if upto[-1] else np.nan
        return drawn[~np.isnan(drawn)]

    def estimate(self, percent: float) -> Estimate:
        return interval(self.percentile(percent), self.draws(percent))


def interval(value: float, drawn: Values) -> Estimate:
    """A value with the interval that holds `CONFIDENCE` of what was drawn."""
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(drawn, [tail, 100 - tail])
    return Estimate(value=value, low=min(value, float(low)), high=max(value, float(high)))


def ratio(above: Latencies, below: Latencies, percent: float) -> Estimate:
    """Of two percentiles; their draws are paired at random, as both are in random order."""
    ours, theirs = above.draws(percent), np.flip(below.draws(percent))
    size = min(ours.size, theirs.size)
    value = above.percentile(percent) / below.percentile(percent)
    return interval(value, ours[:size] / theirs[:size])


def middle(values: list[float]) -> Estimate:
    """The median of readings, and the range that holds `CONFIDENCE` of them.

    Raises:
        ValueError: there are none.
    """
    if not values:
        raise ValueError("no readings")
    return interval(float(np.median(values)), np.array(values, dtype=np.float64))
