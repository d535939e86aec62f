"""What is sampled, also as Prometheus metrics, for those who watch a long run.

Names begin with `bench_`, units are bytes and seconds; `role` has every role from the first scrape on.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Gauge, start_http_server

if TYPE_CHECKING:
    from bench.experiment.resources import Sample

ROLES: Final = ("servers", "wrappers", "routing-manager", "load-balancer", "generator")
_MIB: Final = 2**20


class Gauges:
    """By role, summed over its processes; of the run that is going on."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"bench_{name}", text, ["role"], registry=self.registry)

        self._processes = gauge("processes", "live processes")
        self._pss = gauge("pss_bytes", "proportional set size")
        self._rss = gauge("rss_bytes", "resident set size")
        self._enclaves = gauge("simulated_enclave_bytes", "memory that simulated enclaves hold")
        self._processor = gauge("processor_seconds", "used by the live processes in their lives")
        self._switches = gauge("context_switches", "of the live processes in their lives")
        self.run = Gauge("bench_run_number", "the run that is going on", registry=self.registry)
        for role in ROLES:
            for each in (self._processes, self._pss, self._rss, self._enclaves):
                each.labels(role)
            self._processor.labels(role)
            self._switches.labels(role)

    def serve(self, port: int) -> int:
        """Serve them on loopback, in a thread, until this process ends; returns the port.

        Raises:
            OSError: the port is taken.
        """
        server, _thread = start_http_server(port, addr="127.0.0.1", registry=self.registry)
        return int(server.server_port)

    def show(self, samples: "Iterable[Sample]") -> None:
        """One reading of all processes; memory that was not read this time stays as it was."""
        by_role: dict[str, list[Sample]] = defaultdict(list)
        for sample in samples:
            by_role[sample.role].append(sample)
        for role in ROLES:
            found = by_role[role]
            real = [each for each in found if each.pid]
            self._processes.labels(role).set(len(real))
            self._rss.labels(role).set(sum(each.rss_mib for each in real) * _MIB)
            self._processor.labels(role).set(sum(each.processor_s for each in real))
            self._switches.labels(role).set(sum(each.voluntary + each.involuntary for each in real))
            self._enclaves.labels(role).set(sum(each.enclave_mib or 0 for each in found) * _MIB)
            known = [each.pss_mib for each in real if each.pss_mib is not None]
            if known or not real:
                self._pss.labels(role).set(sum(known) * _MIB)
