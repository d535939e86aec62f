"""Readings and alarms that show whose they are: a row found anywhere names its user, its batch and its place in it.

    reading   timestamp = FIRST + batch * MOST + place, power = user, impedance = batch, tension = place
    alarm     metric power, threshold = user * ALARMS + number

`user` is the user's number in this run, from 1. The same arguments give the same batch on every try.
"""

from typing import Final

from smartgrid_client.batches import Batch
from smartgrid_client.messages import Alarm, Metric
from smartgrid_client.readings import Reading
from standby.ids import Uid

FIRST: Final = 1_700_000_000
MOST: Final = 100
"""Rows of one batch at most."""
ALARMS: Final = 1_000_000
"""Alarms of one user at most."""


def uid(user: int) -> Uid:
    """The name of the user with this number."""
    return Uid(f"user-{user}")


def batch(user: int, number: int, size: int) -> Batch:
    """The user's batch of that number, with `size` rows."""
    return Batch(tuple(reading(user, number, place) for place in range(size)))


def reading(user: int, number: int, place: int) -> Reading:
    timestamp = FIRST + number * MOST + place
    return Reading(timestamp, float(user), float(number), float(place))


def batch_of(user: int, row: Reading) -> tuple[int, int] | None:
    """Batch number and place of a row of that user; None if it is not the user's."""
    if row.impedance is None or row.tension is None:
        return None
    number, place = int(row.impedance), int(row.tension)
    ours = 0 <= place < MOST and row == reading(user, number, place)
    return (number, place) if ours else None


def alarm(user: int, number: int) -> Alarm:
    return Alarm(Metric.POWER, float(user * ALARMS + number))


def alarm_of(user: int, found: Alarm) -> int | None:
    """The alarm's number; None if it is not the user's."""
    number = int(found.threshold) - user * ALARMS
    ours = 0 <= number < ALARMS and found == alarm(user, number)
    return number if ours else None
