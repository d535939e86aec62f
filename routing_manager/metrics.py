"""Metrics of the Routing Manager: `standby_routing_manager_…`.

What the core counts or knows is read from it when somebody asks; only durations are recorded as they happen.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from routing_manager.core import Core
from routing_manager.outcomes import WaitEnd
from standby.messages import Presence
from standby.metrics import ROUTE_BUCKETS

PREFIX: Final = "standby_routing_manager_"
_WAITS_WITH_TIME: Final = (WaitEnd.SERVED, WaitEnd.REFUSED)


class Metrics:
    """Durations, and a registry that also shows what a core counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.route_seconds = Histogram(
            PREFIX + "route_duration_seconds",
            "from a routing question to its answer, waiting included",
            buckets=ROUTE_BUCKETS,
            registry=registry,
        )
        waits = Histogram(
            PREFIX + "wait_seconds",
            "time that users spent in the waiting room, by how it ended",
            ["outcome"],
            buckets=ROUTE_BUCKETS,
            registry=registry,
        )
        self._waits = {end: waits.labels(end.value) for end in _WAITS_WITH_TIME}

    def waited(self, end: WaitEnd, seconds: float) -> None:
        self._waits[end].observe(seconds)

    def show(self, core: Core) -> None:
        self.registry.register(_CoreCollector(core))


class _CoreCollector(Collector):
    def __init__(self, core: Core) -> None:
        self._core = core

    def collect(self) -> Iterator[Metric]:
        yield from self._gauges()
        yield from self._counters()

    def _gauges(self) -> Iterator[Metric]:
        directory, assignments = self._core.directory, self._core.assignments
        away = Counter(each.presence for each in directory.lost.values())
        draining = sum(each.draining for each in directory.wrappers.values())
        wrappers = {
            "live": len(directory.wrappers) - draining,
            "draining": draining,
            **{each.value: away[each] for each in (Presence.LEFT, Presence.LOST)},
        }
        yield _gauge("instances", "server processes by state", "state", directory.counts.items())
        yield _gauge(
            "wrappers",
            "App Wrappers; those that left or are lost are shown for a while",
            "state",
            wrappers.items(),
        )
        yield GaugeMetricFamily(
            PREFIX + "waiting_users", "users in the waiting room", value=len(assignments.room)
        )
        yield GaugeMetricFamily(
            PREFIX + "orders_pending",
            "starts ordered, not READY yet",
            value=len(assignments.orders),
        )
        yield GaugeMetricFamily(
            PREFIX + "settled", "1: users without a session are served", value=self._core.settled
        )

    def _counters(self) -> Iterator[Metric]:
        tally = self._core.tally
        reports = [*tally.reports.items(), ("bad", tally.bad_reports)]
        yield _counter(
            "assignments",
            "routing questions answered with a server",
            "outcome",
            tally.assignments.items(),
        )
        yield _counter(
            "refusals",
            "routing questions answered with a refusal",
            "reason",
            tally.refusals.items(),
        )
        yield _counter(
            "waits", "stays in the waiting room that ended", "outcome", tally.waits.items()
        )
        yield _counter(
            "reservations_ended", "promises that ended", "reason", tally.promises.items()
        )
        yield _counter("reports", "reports of wrappers", "outcome", reports)
        yield _counter(
            "errors", "errors that cost one entry, by what it was", "entry", tally.errors.items()
        )
        for name, text, value in (
            ("wrappers_lost", "wrappers that fell silent", tally.wrappers_lost),
            ("entries_disbelieved", "reported states that cannot be", tally.disbelieved),
            ("orders", "starts ordered on demand, repeats included", tally.orders),
            ("orders_failed", "orders that came to nothing", tally.orders_failed),
        ):
            yield CounterMetricFamily(PREFIX + name, text, value=value)


def _gauge(name: str, text: str, label: str, values: Iterable[tuple[str, int]]) -> Metric:
    family = GaugeMetricFamily(PREFIX + name, text, labels=[label])
    for value, number in values:
        family.add_metric([str(value)], number)
    return family


def _counter(name: str, text: str, label: str, values: Iterable[tuple[str, int]]) -> Metric:
    family = CounterMetricFamily(PREFIX + name, text, labels=[label])
    for value, number in values:
        family.add_metric([str(value)], number)
    return family
