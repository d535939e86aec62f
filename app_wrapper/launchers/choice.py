"""The launcher of a wrapper, and what that one needs."""

import os
from functools import partial
from pathlib import Path
from random import Random

from app_wrapper.application import Application
from app_wrapper.launchers import Launcher
from app_wrapper.launchers.fork import ForkLauncher, Program
from app_wrapper.launchers.kind import kind_of
from app_wrapper.launchers.limits import Limits
from app_wrapper.launchers.scone import SconeLauncher
from app_wrapper.launchers.simulated import parameters
from app_wrapper.launchers.simulated.launcher import SimulatedEnclaveLauncher
from app_wrapper.launchers.spawn import SpawnLauncher
from app_wrapper.measuring import LaunchMeter
from app_wrapper.metrics import Metrics
from app_wrapper.settings import LauncherKind, Settings
from attestation import trust
from attestation.policy import may_admit
from attestation.scone import pool as scone_pool
from standby.errors import PlatformError
from standby.logs import EventLog
from standby.settings import SettingsError

log = EventLog(__name__)


def make_launcher(
    settings: Settings, app: Application, metrics: Metrics, meter: LaunchMeter | None = None
) -> Launcher:
    """How this wrapper starts server processes.

    Raises:
        SettingsError: the parameters of simulated enclaves, or the pool of SCONE's, cannot be used.
    """
    app_dir = settings.app.absolute().parent
    added = meter.variables if meter else {}
    limits = _limits(settings)
    kind = kind_of(settings.launcher, settings.attestation, app)
    match kind:
        case LauncherKind.SPAWN:
            return SpawnLauncher(app, app_dir, os.environ, added, limits)
        case LauncherKind.FORK:
            program = _program(settings, meter) if meter else None
            return ForkLauncher(app, app_dir, os.environ, added, program, limits)
        case LauncherKind.SIMULATED_ENCLAVE | LauncherKind.SIMULATED_CONTAINER:
            spawning = SpawnLauncher(app, app_dir, os.environ, added, limits)
            return _simulated(settings, kind, spawning, metrics)
        case LauncherKind.SCONE:
            return _scone(settings, app, app_dir, limits)


def _program(settings: Settings, meter: LaunchMeter) -> Program:
    if settings.policy is None:
        raise SettingsError(f"attestation={settings.attestation} needs policy")
    try:
        admitted = trust.load(settings.policy).policy
    except PlatformError as error:
        raise SettingsError(str(error)) from error
    return Program(meter.present, meter.measure, partial(may_admit, admitted))


def _limits(settings: Settings) -> Limits:
    """An enclave's memory is taken in another way and has a size of its own.

    Threads are counted where servers have uids of their own, and never for root; for another account they would be
    counted together.
    """
    return Limits(
        memory=None if settings.in_enclaves else settings.server_memory,
        file=settings.volume_bytes,
        descriptors=settings.server_descriptors,
        threads=settings.server_threads if os.geteuid() == 0 else None,
    )


def _scone(settings: Settings, app: Application, app_dir: Path, limits: Limits) -> Launcher:
    if settings.scone_pool is None:
        raise SettingsError("the launcher scone needs scone_pool")
    try:
        pool = scone_pool.load(settings.scone_pool.absolute())
    except PlatformError as error:
        raise SettingsError(str(error)) from error
    return SconeLauncher(app, app_dir, os.environ, pool, limits)


def _simulated(
    settings: Settings, kind: LauncherKind, inner: Launcher, metrics: Metrics
) -> Launcher:
    file = (settings.enclave or parameters.SHIPPED).absolute()
    costs = parameters.load(file)
    container = kind is LauncherKind.SIMULATED_CONTAINER
    start = costs.start.container_and_enclave if container else costs.start.enclave
    launcher = SimulatedEnclaveLauncher(inner, costs, start, Random())  # noqa: S311  # no secret
    launcher.on_paging = metrics.simulate(lambda: launcher.heap_bytes)
    log.warning(
        "enclaves_are_simulated",
        text="they cost what enclaves cost, and protect nothing",
        launcher=kind,
        parameters=str(file),
    )
    return launcher
