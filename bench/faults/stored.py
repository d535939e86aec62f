"""What a user's database holds after the run, read with the user's key once no server has it open."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

from smartgrid_client.messages import Alarm, Metric
from smartgrid_client.readings import Reading
from smartgrid_server import cipher
from standby.secret import Secret


@dataclass(frozen=True, slots=True)
class Contents:
    """Both tables in order of row id, which is the order in which the rows were stored."""

    readings: tuple[Reading, ...]
    alarms: tuple[Alarm, ...]


def read(file: Path, key: Secret) -> Contents:
    """The database's contents; what a killed server left in its journal is recovered first.

    Raises:
        PlatformError: it cannot be opened or read.
    """
    with contextlib.closing(cipher.connect(file, key)) as connection, cipher.translated():
        readings = connection.execute(
            "SELECT timestamp, power, impedance, tension FROM metrics ORDER BY id"
        ).fetchall()
        alarms = connection.execute("SELECT metric, threshold FROM alarms ORDER BY id").fetchall()
    return Contents(
        readings=tuple(Reading(*row) for row in readings),
        alarms=tuple(Alarm(Metric(metric), threshold) for metric, threshold in alarms),
    )
