"""How long a server process takes to be ready: launched by each launcher in turn, as the wrapper does it.

Time is from the launch to the line WAITING_LOGIN. The dissertation (section 5.1.1) timed a program that exits as soon
as it has started; ours can serve by then. What the first launch prepares for all later ones (the template to fork
from) is not counted.
"""

import asyncio
import contextlib
import datetime as dt
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry

from app_wrapper import application
from app_wrapper.launchers import Handle, Launcher, LaunchRequest
from app_wrapper.launchers.choice import make_launcher
from app_wrapper.metrics import Metrics
from app_wrapper.settings import LauncherKind, Settings
from bench.experiment import rows
from bench.experiment.order import RunPlan
from bench.experiment.outcome import Outcome
from bench.experiment.plan import Startup
from bench.experiment.rows import Row
from bench.platform import changed_environment
from standby import deadlines, pki
from standby.ids import Slot, WrapperId, new_boot_id
from standby_cli.parts import smartgrid_app

OPERATION: Final = "START"
_WARM_UP: Final = 1
"""Starts by each launcher that are not counted."""
_BACKLOG: Final = 16
_LIFETIME: Final = dt.timedelta(days=1)


def run(plan: RunPlan, directories: Mapping[str, Path]) -> Outcome:
    """Start servers by every launcher; each launcher's directory gets its requests.csv."""
    experiment = plan.experiment
    if not isinstance(experiment, Startup):
        raise TypeError("a run of starts")
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="startup-") as scratch, _authorities(Path(scratch)):
        taken = asyncio.run(_all(experiment, Path(scratch)))
    for launcher, directory in directories.items():
        rows.write(directory / "requests.csv", taken[launcher])
    seconds = time.perf_counter() - began
    return Outcome(
        seconds=seconds,
        measured_seconds=seconds,
        full_from=0.0,
        full_until=0.0,
        generator=None,
        problems=[],
    )


@contextlib.contextmanager
def _authorities(scratch: Path) -> Iterator[None]:
    """What a server of the example application needs in its environment; nobody connects to it, or attests it."""
    certificate, key = scratch / "issuer.pem", scratch / "issuer-key.pem"
    pki.Authority.create("issuer of a measurement", _LIFETIME).save(certificate, key)
    environ = {
        "SMARTGRID_ISSUER_CERTIFICATE": str(certificate),
        "SMARTGRID_ISSUER_KEY": str(key),
        "SMARTGRID_CLIENT_AUTHORITIES": str(certificate),
    }
    with changed_environment(environ):
        yield


async def _all(experiment: Startup, scratch: Path) -> dict[str, list[Row]]:
    taken: dict[str, list[Row]] = {name: [] for name in experiment.launchers}
    async with contextlib.AsyncExitStack() as stack:
        launchers = {}
        for name in experiment.launchers:
            launchers[name] = make_launcher(
                _settings(name, scratch),
                application.load(smartgrid_app()),
                Metrics(CollectorRegistry()),
            )
            stack.push_async_callback(launchers[name].close)
        began = time.perf_counter()
        for number in range(_WARM_UP + experiment.starts):
            names = list(launchers)
            for name in names if number % 2 else reversed(names):
                at = time.perf_counter() - began
                seconds = await _start(launchers[name], scratch, number)
                taken[name].append(_row(number, at, seconds))
                await asyncio.sleep(experiment.pause / experiment.compression)
    return taken


def _settings(launcher: str, scratch: Path) -> Settings:
    return Settings(
        id=WrapperId("startup"),
        app=smartgrid_app(),
        state_dir=scratch,
        volumes_dir=scratch,
        launcher=LauncherKind(launcher),
    )


async def _start(launcher: Launcher, scratch: Path, number: int) -> float:
    """Seconds from launch to ready; the server is gone when this returns."""
    boot_id = new_boot_id()
    directory = scratch / "slots" / f"{number}-{boot_id}"
    directory.mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG) as listener:
        host, port = listener.getsockname()
        request = LaunchRequest(
            slot=Slot(number),
            boot_id=boot_id,
            host=host,
            port=port,
            fd=listener.fileno(),
            slot_dir=directory,
            uid=None,
        )
        began = time.perf_counter()
        handle = await launcher.launch(request)
        async with _ended(handle), asyncio.timeout(deadlines.SERVER_START):
            async for line in handle.lines():
                if line == "WAITING_LOGIN":
                    return time.perf_counter() - began
    raise RuntimeError("a server ended before it was ready")


@contextlib.asynccontextmanager
async def _ended(handle: Handle) -> AsyncIterator[None]:
    """Read the server's log while the context lasts, and end the server then."""
    drain = asyncio.create_task(_read(handle.log_lines()))
    try:
        yield
    finally:
        handle.kill()
        await handle.wait()
        handle.close()
        drain.cancel()
        await asyncio.gather(drain, return_exceptions=True)


async def _read(lines: AsyncIterator[str]) -> None:
    async for _ in lines:
        pass


def _row(number: int, at: float, seconds: float) -> Row:
    return Row(
        user="",
        client="",
        session=number,
        operation=OPERATION,
        intended_s=at,
        lag_ms=0.0,
        connect_ms=0.0,
        latency_ms=seconds * 1000,
        status=200,
        error="",
        warm_up=int(number < _WARM_UP),
    )
