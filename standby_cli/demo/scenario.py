"""Who does what in the demo. Pure: the same plan gives the same households, batches and questions.

Every household has the readings of the shipped sample, six days of one household, densified to the dissertation's 15 s.
Its meter pushes them in batches of 1 h, 3 h or 12 h (240, 720 or 2,880 rows), two days in each of three rounds; its
customer then sets alarms and asks for averages, in a session of its own, and in the last round in the same session as
the meter.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from smartgrid_client.averages import averages
from smartgrid_client.batches import Batch, BatchSize, batches, densify
from smartgrid_client.messages import Alarm, Averages, Metric
from smartgrid_client.readings import Reading, Skips, sample_readings
from standby.approach import Approach
from standby.ids import Uid, parse_uid

USERS: Final = 6
POOL: Final = 3
ROUNDS: Final = 3
HOUR: Final = 3600
DAY: Final = 24 * HOUR
QUESTIONS: Final = 6
"""Averages that a customer asks for in each round."""
BATCH_SECONDS: Final = (HOUR, 3 * HOUR, 12 * HOUR)


@dataclass(frozen=True)
class Plan:
    users: int = USERS
    pool_size: int = POOL
    approach: Approach = Approach.STANDBY
    rounds: int = ROUNDS


@dataclass(frozen=True)
class Question:
    """One QUERY_AVG and its right answer."""

    metric: Metric
    start: int | None
    end: int | None
    bucket: int | None
    expected: Averages


@dataclass(frozen=True)
class Household:
    uid: Uid
    batch_seconds: int
    rounds: tuple[tuple[Batch, ...], ...]
    """The batches that the meter pushes in each round."""
    alarms: tuple[tuple[Alarm, ...], ...]
    """The alarms that the customer sets in each round."""

    @property
    def sessions(self) -> int:
        """Two in each round, one of meter and customer together in the last."""
        return 2 * len(self.rounds) - 1


def load() -> tuple[list[Reading], Skips]:
    """The sample's readings every 15 s, and the lines that gave none."""
    skips: Skips = Counter()
    return list(densify(sample_readings(skips))), skips


def households(plan: Plan, readings: Sequence[Reading]) -> list[Household]:
    return [_household(number, plan, readings) for number in range(plan.users)]


def _household(number: int, plan: Plan, readings: Sequence[Reading]) -> Household:
    seconds = BATCH_SECONDS[number % len(BATCH_SECONDS)]
    first_day = readings[0].timestamp // DAY
    days = readings[-1].timestamp // DAY - first_day + 1
    rounds: list[list[Batch]] = [[] for _ in range(plan.rounds)]
    for batch in batches(readings, BatchSize(seconds=seconds)):
        day = batch.rows[0].timestamp // DAY - first_day
        rounds[day * plan.rounds // days].append(batch)
    return Household(
        uid=parse_uid(f"household-{number + 1}"),
        batch_seconds=seconds,
        rounds=tuple(map(tuple, rounds)),
        alarms=tuple(_alarms(number, each) for each in range(plan.rounds)),
    )


def _alarms(number: int, each: int) -> tuple[Alarm, ...]:
    return (
        Alarm(Metric.POWER, 3000.0 + 100 * number + each),
        Alarm(Metric.TENSION, 225.0 + number + each / 10),
    )


def questions(readings: Sequence[Reading]) -> list[Question]:
    """What a customer asks once these readings are stored: everything, single days, and hour by hour."""
    return list(_questions(readings))


def _questions(readings: Sequence[Reading]) -> Iterator[Question]:
    for metric in Metric:
        yield _question(readings, metric, None, None, None)
    last_day = readings[-1].timestamp // DAY * DAY
    yield _question(readings, Metric.POWER, last_day, last_day + DAY, HOUR)
    yield _question(readings, Metric.TENSION, last_day + HOUR, last_day + 2 * HOUR + 30, None)
    yield _question(readings, Metric.POWER, 0, 1, None)


def _question(
    readings: Sequence[Reading],
    metric: Metric,
    start: int | None,
    end: int | None,
    bucket: int | None,
) -> Question:
    return Question(metric, start, end, bucket, averages(readings, metric, start, end, bucket))


def day_of(timestamp: int) -> str:
    return dt.datetime.fromtimestamp(timestamp, dt.UTC).date().isoformat()
