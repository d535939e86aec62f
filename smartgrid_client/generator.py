"""Plausible readings for meters that have no file: a household's day, with its own habits and noise.

A reading depends only on (seed, timestamp), so two runs that overlap in time agree about every reading, and a meter
that was restarted builds the same batches with the same ids. The curve: a base load, a morning and an evening peak,
and noise; a tension near 230 V that sags a little under load; impedance = tension / current, current = power / tension.
"""

import hashlib
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from smartgrid_client.readings import Reading

DAY: Final = 86_400
STEP: Final = 15
"""Seconds between two readings, as in the dissertation's batches."""


@dataclass(frozen=True)
class Household:
    """What is particular to one seed. Powers in W, hours of the day as fractions."""

    base: float
    morning: float
    morning_hour: float
    evening: float
    evening_hour: float

    @classmethod
    def of(cls, seed: str) -> "Household":
        choose = random.Random(f"household {seed}")  # noqa: S311  # made-up data, not a secret
        return cls(
            base=choose.uniform(120, 300),
            morning=choose.uniform(700, 1800),
            morning_hour=choose.uniform(6, 8.5),
            evening=choose.uniform(1200, 3000),
            evening_hour=choose.uniform(18, 21),
        )

    def expected(self, timestamp: int) -> float:
        """The usual power at that time of day, in W."""
        hour = timestamp % DAY / 3600
        return (
            self.base
            + self.morning * _bump(hour - self.morning_hour, 1.0)
            + self.evening * _bump(hour - self.evening_hour, 1.8)
        )


def generate(start: int, end: int, seed: str, step: int = STEP) -> Iterator[Reading]:
    """Readings at the multiples of `step` seconds in `start` <= t < `end` (Unix seconds)."""
    household = Household.of(seed)
    for timestamp in range(-(-start // step) * step, end, step):
        load, sag = _noise(seed, timestamp)
        power = round(household.expected(timestamp) * (0.8 + 0.4 * load), 1)
        tension = round(234 - 4 * sag - power / 1000, 2)
        yield Reading(timestamp, power, round(tension * tension / power, 3), tension)


def _bump(distance: float, width: float) -> float:
    """A peak of height 1; hours of two neighbouring days are near each other."""
    nearest = (distance + 12) % 24 - 12
    return math.exp(-((nearest / width) ** 2))


def _noise(seed: str, timestamp: int) -> tuple[float, float]:
    """Two numbers in [0, 1) that depend on nothing else."""
    digest = hashlib.blake2b(f"{seed} {timestamp}".encode(), digest_size=8).digest()
    return int.from_bytes(digest[:4]) / 2**32, int.from_bytes(digest[4:]) / 2**32
