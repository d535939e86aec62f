"""One row of requests.csv: one request that was meant to be sent."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

NOT_SENT: Final = "not_sent"
"""Its session had not begun, because LOGIN failed."""


class Row(NamedTuple):
    user: str
    client: str
    session: int | str
    operation: str
    intended_s: float
    """Since the run's beginning."""
    lag_ms: float
    """How late the load generator was by itself."""
    connect_ms: float
    latency_ms: float
    """From the intended moment to the whole answer."""
    status: int
    error: str
    warm_up: int


def write(file: Path, rows: Iterable[Row]) -> None:
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(Row._fields)
        writer.writerows(
            row._replace(
                intended_s=round(row.intended_s, 4),
                lag_ms=round(row.lag_ms, 3),
                connect_ms=round(row.connect_ms, 3),
                latency_ms=round(row.latency_ms, 3),
            )
            for row in rows
        )


def read(file: Path) -> list[Row]:
    with file.open(newline="", encoding="utf-8") as source:
        return [
            Row(
                each["user"],
                each["client"],
                each["session"],
                each["operation"],
                float(each["intended_s"]),
                float(each["lag_ms"]),
                float(each["connect_ms"]),
                float(each["latency_ms"]),
                int(each["status"]),
                each["error"],
                int(each["warm_up"]),
            )
            for each in csv.DictReader(source)
        ]
