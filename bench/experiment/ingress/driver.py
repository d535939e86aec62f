"""The load generator: `python -m bench.experiment.ingress.driver` reads a Job, writes requests.csv, prints a Driven.

One thread and a bare loop over epoll. Rejected: asyncio and uvloop, whose timers count milliseconds, which is longer
than a connection takes, and whose tasks and futures cost processor time that the load balancer shall have.
"""

import gc
import heapq
import itertools
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from bench.experiment import rows
from bench.experiment.ingress.backends import open_files
from bench.experiment.ingress.exchange import End, Exchange, clock
from bench.experiment.ingress.hello import client_hellos
from bench.experiment.ingress.load import Driven, Job, arrivals
from smartgrid_client.quantiles import percentile
from standby.processes import dies_with_parent

OPERATION: Final = "CONNECT"
TIMEOUT: Final = 10.0
"""Seconds from the beginning of a connection to its end."""
_MARGIN: Final = 60.0
"""Seconds that a driver may take beyond its load: to start, to wait for late answers, to write."""
_PAUSE: Final = 0.05
"""Seconds until a client that failed tries again, so that it does not do nothing else."""
_FILES_BESIDES: Final = 64
"""Open files that are not connections."""
_EVENTS: Final = 16
"""Looked at before it is looked whether a connection is due."""
_OK: Final = 200


def drive(job: Job, on_start: Callable[[int], None] = lambda _pid: None) -> Driven:
    """Run a driver to its end; `on_start` is told its pid.

    To be called in the main thread: the driver dies with the thread that started it.

    Raises:
        RuntimeError: the driver failed.
        subprocess.TimeoutExpired: it did not end.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        preexec_fn=dies_with_parent(),  # noqa: PLW1509  # nothing but system calls is done in the child
    )
    with process:
        try:
            on_start(process.pid)
            answer, _ = process.communicate(msgspec.json.encode(job), job.load.length + _MARGIN)
        finally:
            process.kill()
    if process.returncode != 0:
        raise RuntimeError(f"the driver ended with {process.returncode}")
    return msgspec.json.decode(answer, type=Driven)


@dataclass(frozen=True, slots=True)
class _Ended:
    exchange: Exchange
    end: End


class _Driver:
    """`_open` is in the order in which the exchanges began, so the first one's time is over first.

    With `most` exchanges open the next ones wait until one ends, and are late by the driver's fault.
    """

    def __init__(self, job: Job, most: int) -> None:
        self._most = most
        self._job = job
        self._hellos = client_hellos(job.users)
        self._events = select.epoll()
        self._open: dict[int, Exchange] = {}
        self._due = list(arrivals(job))
        """A heap: moments since the start, and whose connection it is."""
        self._again = job.load.rate is None
        self.ended: list[_Ended] = []
        self.start = clock()
        self._stop = self.start + job.load.length

    def run(self) -> None:
        while self._due or self._open:
            now = clock()
            while self._is_due(now):
                at, user = heapq.heappop(self._due)
                self._begin(user, self.start + at)
            self._give_up(now)
            for descriptor in self._ready():
                self._proceed(descriptor)

    def _is_due(self, now: float) -> bool:
        due = bool(self._due) and self.start + self._due[0][0] <= now
        return due and len(self._open) < self._most

    def _begin(self, user: int, intended: float) -> None:
        exchange = Exchange(user, intended, clock())
        exchange.connect(self._job.port)
        end = exchange.proceed(self._hellos[user])
        descriptor = exchange.socket.fileno()
        self._open[descriptor] = exchange
        wanted = select.EPOLLIN if exchange.connected else select.EPOLLIN | select.EPOLLOUT
        self._events.register(descriptor, wanted | select.EPOLLET)
        if end is not None:
            self._end(descriptor, end)

    def _proceed(self, descriptor: int) -> None:
        exchange = self._open[descriptor]
        end = exchange.proceed(self._hellos[exchange.user])
        if end is not None:
            self._end(descriptor, end)

    def _end(self, descriptor: int, end: End) -> None:
        exchange = self._open.pop(descriptor)
        exchange.close()
        self.ended.append(_Ended(exchange, end))
        again = clock() if end is End.RIGHT else clock() + _PAUSE
        if self._again and again < self._stop:
            heapq.heappush(self._due, (again - self.start, exchange.user))

    def _give_up(self, now: float) -> None:
        while self._open:
            descriptor, oldest = next(iter(self._open.items()))
            if now < oldest.began + TIMEOUT:
                return
            oldest.answered = now
            self._end(descriptor, End.TIMEOUT)

    def _ready(self) -> list[int]:
        """Wait for something to do. `select` counts microseconds where epoll counts milliseconds."""
        moments = [self.start + at for at, _ in self._due[:1]]
        moments += [each.began + TIMEOUT for each in itertools.islice(self._open.values(), 1)]
        until = min(moments, default=0.0)
        if (pause := until - clock()) > 0:
            select.select([self._events], [], [], pause)
        return [descriptor for descriptor, _ in self._events.poll(0, _EVENTS)]


def _rows(driver: _Driver, job: Job) -> Iterator[rows.Row]:
    for ended in driver.ended:
        each = ended.exchange
        at = each.intended - driver.start
        yield rows.Row(
            user=job.users[each.user],
            client="",
            session="",
            operation=OPERATION,
            intended_s=at,
            lag_ms=(each.began - each.intended) * 1e3,
            connect_ms=((each.connected or each.began) - each.began) * 1e3,
            latency_ms=((each.answered or each.began) - each.intended) * 1e3,
            status=_OK if ended.end is End.RIGHT else 0,
            error=ended.end.value,
            warm_up=int(at < job.load.warm_up),
        )


def _summary(written: list[rows.Row], job: Job, processors: float) -> Driven:
    load = job.load
    answered = [row.intended_s + row.latency_ms / 1e3 for row in written if not row.error]
    measured = [row for row in written if not row.warm_up]
    done = sum(not row.error for row in measured)
    return Driven(
        seconds=load.seconds,
        done=done,
        failed=len(measured) - done,
        throughput=sum(load.warm_up <= at < load.length for at in answered) / load.seconds,
        lag_p99_ms=percentile(sorted(row.lag_ms for row in measured), 99) or 0.0,
        generator_processors=processors,
    )


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it ends it
    most = open_files() - _FILES_BESIDES
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    gc.disable()  # nothing here is garbage before the end
    driver = _Driver(job, most)
    used = time.process_time()
    driver.run()
    processors = (time.process_time() - used) / (clock() - driver.start)
    written = list(_rows(driver, job))
    rows.write(Path(job.requests_file), written)
    sys.stdout.buffer.write(msgspec.json.encode(_summary(written, job, processors)))


if __name__ == "__main__":
    main()
