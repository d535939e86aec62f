"""What is required of the measurements, and whether a result meets it; pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Goal:
    key: str
    """Of the result, with dots."""
    required: str
    """In words."""
    value: Callable[[Mapping[str, Any]], float]
    met: Callable[[float], bool]


@dataclass(frozen=True, slots=True)
class Judgement:
    key: str
    required: str
    value: float | None
    """None: it was not measured."""
    met: bool


def _path(result: Mapping[str, Any], key: str) -> Any:  # noqa: ANN401  # JSON
    found: Any = result
    for name in key.split("."):
        found = found[name]
    return found


def _at_most(key: str, limit: float) -> Goal:
    return Goal(
        key, f"≤ {limit:g}", lambda result: _path(result, key), lambda value: value <= limit
    )


def _at_least(key: str, limit: float) -> Goal:
    return Goal(
        key, f"≥ {limit:g}", lambda result: _path(result, key), lambda value: value >= limit
    )


def _quotient(key: str, above: str, below: str, limit: float) -> Goal:
    return Goal(
        key,
        f"≤ 1/{round(1 / limit)}",
        lambda result: _path(result, above) / _path(result, below),
        lambda value: value <= limit,
    )


GOALS: Final = (
    _quotient("recycle_ms", "recycle_ms.fork.p50", "recycle_ms.spawn.p50", 1 / 15),
    _quotient(
        "pss_kib_per_standby", "pss_kib_per_standby.fork", "pss_kib_per_standby.spawn", 1 / 6
    ),
    _at_most("route_ratio.first", 1.35),
    _at_most("route_ratio.reconnect", 1.08),
    _at_least("routes_per_second.p50", 5000),
    _at_most("route_cost_ratio", 1.3),
    _at_most("routing_manager_rss_mib", 250),
    _at_most("login_ratio.p50", 1.25),
    _at_most("login_ratio.p99", 1.5),
    _at_least("sessions_per_second", 40),
    _at_most("long_write_ratio", 2.5),
    _at_least("query_avg.times_faster", 20),
    _at_most("query_avg.max_relative_error", 1e-9),
    _at_most("refill_p99_ratio.fork", 1.3),
    _at_most("refill_p99_ratio.spawn", 1.3),
    _at_most("attestation_per_start_ms.fork", 10),
    _at_most("attestation_per_start_ms.spawn", 10),
    _at_most("attestation_ratio.login", 1.25),
    _at_most("attestation_ratio.long_write", 1.1),
    _at_most("attestation_ratio.write", 1.1),
    _at_most("attestation_ratio.query_avg", 1.1),
)


def judge(result: Mapping[str, Any]) -> list[Judgement]:
    """Each goal against the result; what was not measured is not met."""
    judgements = []
    for goal in GOALS:
        try:
            value: float | None = goal.value(result)
        except (KeyError, TypeError, ZeroDivisionError):
            value = None
        met = value is not None and goal.met(value)
        judgements.append(Judgement(goal.key, goal.required, value, met))
    return judgements
