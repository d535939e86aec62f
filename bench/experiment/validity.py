"""When a run does not count, because the load generator and not the platform decided its figures; pure."""

from typing import Final

from bench.experiment.job import Generated

MOST_PROCESSORS: Final = 0.85
"""A generator is one thread; beyond this it is about to be the bottleneck."""
LAG_MS: Final = 10.0
"""Lateness that is accepted at the 99th percentile, in any case: some turns of the scheduler on a busy machine."""
LAG_SHARE: Final = 0.2
"""Of the 99th percentile of latency: lateness that is accepted beyond that."""


def problems(generated: Generated, latency_p99_ms: float | None) -> list[str]:
    """Why a run is not valid, in words; empty if it is."""
    found = []
    if generated.processors > MOST_PROCESSORS:
        found.append(
            f"the load generator used {generated.processors:.0%} of the one processor that it can use"
        )
    accepted = max(LAG_MS, LAG_SHARE * (latency_p99_ms or 0.0))
    if generated.lag_p99_ms > accepted:
        found.append(
            f"the load generator was {generated.lag_p99_ms:.1f} ms late at the 99th percentile "
            f"({accepted:.1f} ms are accepted)"
        )
    return found
