"""Backends, a Routing Manager and a load balancer of each way, all at once; runs of the ways alternate before them.

To be used in the main thread, while no other thread starts processes: what is started dies with its thread.
"""

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from bench.experiment.ingress.backends import serving
from bench.experiment.ingress.balancers import Balancer, Way, balancer
from bench.experiment.ingress.driver import drive
from bench.experiment.ingress.load import Driven, Job, Load
from bench.experiment.ingress.manager import Manager, knowing

REQUESTS: Final = "requests.csv"
_GREETINGS: Final = 1000.0
"""Connections per second."""


@dataclass(frozen=True)
class Stage:
    pids: Mapping[str, int]
    """By role: `backends`, `routing-manager`, and `load-balancer-` with each way."""
    _users: list[str]
    _balancers: Mapping[Way, Balancer]
    _manager: Manager

    def run(
        self,
        way: str,
        load: Load,
        directory: Path,
        on_start: Callable[[int], None] = lambda _pid: None,
    ) -> Driven:
        """One run, written to `requests.csv` of that directory; `on_start` is told the driver's pid.

        Raises:
            RuntimeError: the driver failed.
            TimeoutError: the load balancer had not come to rest a minute later.
        """
        asked = self._manager.asked()
        driven = drive(self._job(way, load, directory / REQUESTS), on_start)
        self._balancers[Way(way)].until_quiet()
        began = (directory / REQUESTS).read_bytes().count(b"\n") - 1  # without the header
        return msgspec.structs.replace(
            driven, asked=(self._manager.asked() - asked) / max(1, began)
        )

    def greet(self) -> None:
        """Let HAProxy remember everybody's route, with every second one to be asked for next time.

        Then half of the users are asked for at any time, as among users who do not connect in step.

        Raises:
            RuntimeError: somebody did not get through.
        """
        load = Load(_GREETINGS, 0, 1.5 * len(self._users) / _GREETINGS, 0.0, 0)
        with tempfile.TemporaryDirectory(prefix="bench-greet-") as scratch:
            for way in self._balancers:
                job = self._job(way, load, Path(scratch) / REQUESTS)
                driven = drive(msgspec.structs.replace(job, once=True))
                if driven.failed or not driven.done:
                    raise RuntimeError(f"{driven.failed} of the first connections failed ({way})")

    def _job(self, way: str, load: Load, requests: Path) -> Job:
        port = self._balancers[Way(way)].port
        return Job(port=port, users=self._users, load=load, requests_file=str(requests))


@contextlib.contextmanager
def stage(backends: int) -> Iterator[Stage]:
    """All of it with so many backends, one for each user, while the context lasts."""
    with contextlib.ExitStack() as stack:
        served = stack.enter_context(serving(backends))
        manager = stack.enter_context(knowing(served.places))
        balancers = {
            way: stack.enter_context(balancer(way, served.places, manager.port)) for way in Way
        }
        pids = {"backends": served.pid, "routing-manager": manager.pid} | {
            f"load-balancer-{way}": each.pid for way, each in balancers.items()
        }
        ready = Stage(pids, list(served.places), balancers, manager)
        ready.greet()
        yield ready
