"""Keeps a row for every request that Locust tells of, and says how the generator itself did."""

import time
from pathlib import Path
from typing import Any

from locust.env import Environment

from bench.experiment import rows
from bench.experiment.job import Generated
from bench.experiment.rows import Row
from smartgrid_client.quantiles import percentile


class Recorder:
    """Listens to Locust's `request` event, whose context carries the row."""

    def __init__(self, environment: Environment) -> None:
        self.rows: list[Row] = []
        hook: Any = environment.events.request
        hook.add_listener(self._take)

    def generated(self, began: float, used: float) -> Generated:
        """`began` by time.perf_counter, `used` processor seconds by then."""
        seconds = time.perf_counter() - began
        lags = sorted(row.lag_ms for row in self.rows)
        return Generated(
            seconds=seconds,
            processors=(time.process_time() - used) / seconds,
            lag_p99_ms=percentile(lags, 99) or 0.0,
            requests=len(self.rows),
            failed=sum(1 for row in self.rows if row.error),
        )

    def write(self, file: Path) -> None:
        rows.write(file, self.rows)

    def _take(self, *, context: dict[str, Any], **_others: object) -> None:
        self.rows.append(context["row"])
