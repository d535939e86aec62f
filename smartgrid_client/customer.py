"""Type 2: a customer who mostly asks for averages and now and then sets alarms, at a steady rate.

The mix is drawn anew for each request: `write_ratio` of them, on average, are WRITEs of a few alarms (dissertation,
section 5.2.1: write / total requests), the others QUERY_AVG over the chosen period.
"""

import asyncio
import random
from dataclasses import dataclass, field
from typing import Final

from smartgrid_client import requests
from smartgrid_client.errors import ENDING, ClientError
from smartgrid_client.messages import Alarm, Averages, Metric, Stored
from smartgrid_client.requests import Request
from smartgrid_client.schedule import Schedule, reached, ticks
from smartgrid_client.session import Session

FEW: Final = 3
"""Most alarms of one WRITE."""
_THRESHOLDS: Final = {
    Metric.POWER: (2_000, 9_000),
    Metric.IMPEDANCE: (5, 20),
    Metric.TENSION: (207, 253),  # 230 V ± 10 %
}


@dataclass(frozen=True, slots=True)
class Workload:
    """What to ask next; the same seed gives the same requests."""

    write_ratio: float
    """0 (only QUERY_AVG) to 1 (only WRITE)."""
    metric: Metric | None = None
    """None: any."""
    start: int | None = None
    end: int | None = None
    dice: random.Random = field(default_factory=random.Random)

    def next(self) -> Request[Stored | Averages]:
        if self.dice.random() < self.write_ratio:
            return requests.write([self._alarm() for _ in range(self.dice.randint(1, FEW))])
        metric = self.metric or self.dice.choice(list(Metric))
        return requests.query_avg(metric, self.start, self.end)

    def _alarm(self) -> Alarm:
        metric = self.dice.choice(list(Metric))
        return Alarm(metric, float(self.dice.randint(*_THRESHOLDS[metric])))


async def use(
    session: Session, workload: Workload, schedule: Schedule, stop: asyncio.Event
) -> None:
    """Ask and write for the schedule's duration; a request that failed for good ends the session only if all would."""
    async for intended in ticks(schedule, stop):
        try:
            await session.perform(workload.next(), intended)
        except ENDING:
            raise
        except ClientError:
            continue
    await reached(schedule.end, stop)
