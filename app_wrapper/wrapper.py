"""One wrapper put together from its settings, and its life from start to drain."""

import asyncio
import contextlib
import fnmatch
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry

from app_wrapper import application, attendance, checking, ownership, server_uids
from app_wrapper.app import Control, make_app
from app_wrapper.application import Application, ProbeKind
from app_wrapper.attesting import setup
from app_wrapper.backoff import Backoff
from app_wrapper.clearing import Clearing
from app_wrapper.epoch import EpochStore
from app_wrapper.events import EventReader
from app_wrapper.launchers.choice import make_launcher
from app_wrapper.limits import Limits
from app_wrapper.listening import Listening
from app_wrapper.measuring import setup as measuring
from app_wrapper.metrics import Metrics
from app_wrapper.ownership import Needs
from app_wrapper.pool import Pool
from app_wrapper.probe import Probe
from app_wrapper.reporter import Reporter
from app_wrapper.server_uids import ServerUids
from app_wrapper.settings import Mode, Settings
from app_wrapper.sidecar import Surroundings
from app_wrapper.supervisor import Supervisor
from app_wrapper.tasks import Tasks
from app_wrapper.usage import UsageWatch
from app_wrapper.volumes import setup as volumes
from app_wrapper.volumes.desk import Desk
from standby import deadlines, logs, tls
from standby.approach import Approach
from standby.exit_codes import EXIT_DRAINED
from standby.ids import BootId, new_boot_id
from standby.logs import EventLog
from standby.web import Listener, serving

_SLOTS: Final = "slots"
_CLEARING: Final = "clearing"
log = EventLog(__name__)


@dataclass(frozen=True, slots=True)
class Wrapper:
    """A running wrapper."""

    supervisor: Supervisor
    url: str
    control_url: str | None
    leave: asyncio.Event
    """Set by an order to drain."""


async def main(settings: Settings, stop: asyncio.Event) -> int:
    """Run until asked to end by `stop` or by an order; drain; return the exit status, which tells the two apart.

    Raises:
        SettingsError: the settings or `app.toml` cannot work.
        StateDirError: the wrapper's own state cannot be kept.
    """
    logs.mark(wrapper_id=settings.id)
    async with running(settings) as wrapper:
        await _asked_to_end(wrapper, stop)
        log.info("draining", limit=settings.drain)
        wrapper.supervisor.drain()
        try:
            async with asyncio.timeout(settings.wrapper_stop):
                await _left_by_all(wrapper.supervisor)
        except TimeoutError:
            log.error("drain_incomplete", seconds=settings.wrapper_stop)
        return EXIT_DRAINED if wrapper.leave.is_set() else 0


async def _left_by_all(supervisor: Supervisor) -> None:
    tasks = Tasks()
    tasks.start("attendance", attendance.watch(supervisor))
    try:
        await supervisor.until_empty()
    finally:
        await tasks.close()


@contextlib.asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Wrapper]:
    """A wrapper that runs while the context lasts; leaving it ends every server at once.

    Raises:
        SettingsError, StateDirError: see `main`.
    """
    files = tls.tls_files(settings.tls_certificate, settings.tls_key, settings.tls_authorities)
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    async with contextlib.AsyncExitStack() as stack:
        store = EpochStore(settings.state_dir.absolute())
        stack.callback(store.close)
        app = application.load(settings.app.absolute())
        desk = volumes.make_desk(settings, app, metrics.copied)
        stack.callback(desk.close)
        supervisor = await _supervisor(settings, app, desk, store, metrics, stack)
        reporters = _reporters(settings, files, store, supervisor, metrics)
        control = Control(
            supervisor,
            settings.approach,
            asyncio.Event(),
            reports_accepted=lambda: not reporters or any(each.accepted for each in reporters),
        )
        if reporters:
            metrics.watch_reports(lambda: max(each.unreported for each in reporters))
        recovered = await desk.recover(settings.id)
        log.info("claims_given_back", count=len(recovered))
        desk.begin_copies()
        bound = await stack.enter_async_context(
            serving(make_app(control, registry), _listeners(settings, files))
        )
        url, supervisor.control_url = _urls(bound)
        log.info("listening", url=url, control_url=supervisor.control_url)
        await stack.enter_async_context(_usage_watch(settings, supervisor).running())
        await stack.enter_async_context(_reporting(reporters))
        stack.push_async_callback(supervisor.close)
        if settings.mode is Mode.STANDALONE:
            supervisor.start()
        yield Wrapper(supervisor, url, supervisor.control_url, control.leave)


async def _asked_to_end(wrapper: Wrapper, stop: asyncio.Event) -> None:
    asked = {asyncio.create_task(event.wait()) for event in (stop, wrapper.leave)}
    try:
        await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)


@contextlib.asynccontextmanager
async def _reporting(reporters: list[Reporter]) -> AsyncIterator[None]:
    """Reports are sent while the context lasts, and a last one to each Routing Manager at its end."""
    tasks = [asyncio.create_task(each.run(), name="reporter") for each in reporters]
    try:
        yield
    finally:
        for reporter in reporters:
            reporter.finish()
        if tasks:
            await asyncio.wait(tasks, timeout=2 * deadlines.REPORT_TIMEOUT)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _limits(settings: Settings, app: Application) -> Limits:
    channel = settings.issuer_certificate is not None
    return Limits(
        capacity=settings.most,
        concurrent_starts=settings.concurrent_starts or _spare_processors(),
        starts_per_second=settings.starts_per_second,
        start=settings.server_start or app.timeouts.start or deadlines.SERVER_START,
        stop=settings.server_stop or app.timeouts.stop or deadlines.SERVER_STOP,
        unclaimed=settings.unclaimed_start,
        login=settings.bound_login,
        drain=settings.drain,
        backoff=Backoff(settings.restart_first, settings.restart_most),
        session=settings.session_max + deadlines.SESSION_OVERRUN,
        open=settings.volume_open if app.volume.tells and channel else None,
        channel=channel,
    )


def _spare_processors() -> int:
    """One is left to servers that serve."""
    return max(1, len(os.sched_getaffinity(0)) - 1)


def _usage_watch(settings: Settings, supervisor: Supervisor) -> UsageWatch:
    bounds = volumes.bounds(settings)
    return UsageWatch(supervisor.places, bounds, settings.usage_watch, supervisor.overfull)


async def _supervisor(
    settings: Settings,
    app: Application,
    desk: Desk,
    store: EpochStore,
    metrics: Metrics,
    stack: contextlib.AsyncExitStack,
) -> Supervisor:
    await checking.refuse_unusable(settings, app, os.environ)
    size = settings.pool_size if settings.approach is Approach.STANDBY else 0
    pool = Pool(size, _limits(settings, app), new_boot_id)
    slots = settings.state_dir.absolute() / _SLOTS
    clearing = Clearing(settings.state_dir.absolute() / _CLEARING)
    stack.callback(clearing.close)
    clearing.put(slots)  # what an earlier wrapper left
    for passage in (settings.state_dir.absolute(), slots):
        server_uids.make_passage(passage)
    listening = Listening(settings.server_host, app.socket, settings.first_port, settings.last_port)
    stack.callback(listening.close)
    meter = await measuring.meter(settings, app)
    launcher = make_launcher(settings, app, metrics, meter)
    stack.push_async_callback(launcher.close)
    surroundings = Surroundings(
        launcher=launcher,
        listening=listening,
        events=EventReader(app.events),
        slots_dir=slots,
        clearing=clearing,
        probe=_probe(settings, app),
        registrar=setup.registrar(settings, pool.process, stack),
        measure=meter.measure if meter else None,
        session_max=settings.session_max,
        volumes_are_directories=not app.volume.files,
        volume_bytes=settings.volume_bytes,
        server_uids=await asyncio.to_thread(_server_uids, settings, app, slots),
    )
    return Supervisor(settings.id, settings.server_host, pool, surroundings, desk, store, metrics)


def _server_uids(settings: Settings, app: Application, slots: Path) -> ServerUids | None:
    """Uids of their own for servers that can change to one; for an enclave that is its own affair."""
    if settings.in_enclaves or not application.uses_server_uid(app):
        return None
    app_dir = settings.app.absolute().parent
    given = application.template_environment(app, app_dir, os.environ)
    named = [
        text
        for name, text in given.items()
        if not any(fnmatch.fnmatchcase(name, each) for each in application.BASIC)
    ]
    needs = Needs(
        volumes=settings.volumes_dir.absolute(),
        slots=slots,
        named=ownership.paths_in(named),
        libraries=(*ownership.libraries(), app_dir),
    )
    return ownership.for_servers(settings.first_server_uid, 2 * settings.most, needs)


def _probe(settings: Settings, app: Application) -> Probe | None:
    if app.probe is ProbeKind.NONE:
        return None
    return Probe(settings.probe_interval, settings.probe_answer)


def _reporters(
    settings: Settings,
    files: tls.TlsFiles | None,
    store: EpochStore,
    supervisor: Supervisor,
    metrics: Metrics,
) -> list[Reporter]:
    """One for each Routing Manager; each of these is told everything and knows nothing of the others."""
    if files is None:
        return []
    reporters = [
        Reporter(
            url,
            settings.id,
            tls.client_context(files),
            store,
            supervisor.snapshot,
            metrics,
            heartbeat=settings.heartbeat,
            timeout=settings.report_timeout,
        )
        for url in settings.report_urls
    ]

    def changed(boot_id: BootId | None) -> None:
        for reporter in reporters:
            reporter.changed(boot_id)

    supervisor.on_change = changed
    supervisor.reporting_problem = lambda: next(
        (each.problem for each in reporters if each.problem), None
    )
    return reporters


def _listeners(settings: Settings, files: tls.TlsFiles | None) -> list[Listener]:
    plain = Listener(settings.host, settings.port)
    if files is None:
        log.warning("no_control_listener", text="without TLS files this wrapper takes no orders")
        return [plain]
    context = tls.server_context(files)
    return [plain, Listener(settings.control_host, settings.control_port, context)]


def _urls(bound: list[tuple[str, int]]) -> tuple[str, str | None]:
    (host, port), *control = bound
    urls = [f"https://{_authority(*each)}" for each in control]
    return f"http://{_authority(host, port)}", urls[0] if urls else None


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
