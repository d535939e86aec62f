"""The meter of a wrapper, with all measured once."""

import asyncio
import os
from typing import Final

from app_wrapper.application import Application
from app_wrapper.launchers.kind import kind_of
from app_wrapper.measuring.meter import LaunchMeter
from app_wrapper.measuring.store import Store
from app_wrapper.settings import Attestation, Settings
from attestation import sealing
from attestation.measure.errors import ChangedError, ChangedWhileStartingError, MeasureError
from standby import deadlines
from standby.errors import words
from standby.logs import EventLog
from standby.settings import SettingsError

_BYTECODE: Final = "bytecode"
log = EventLog(__name__)


async def meter(settings: Settings, app: Application) -> LaunchMeter | None:
    """Measures this wrapper's launches, if servers have to prove what they are by that."""
    if settings.attestation is not Attestation.SOFT_DCAP:
        return None
    made = LaunchMeter(
        settings.app.absolute(),
        kind_of(settings.launcher, settings.attestation, app),
        os.environ,
        settings.state_dir.absolute() / _BYTECODE,
        _store(settings),
    )
    try:
        await _prepared(made)
    except MeasureError as error:
        raise SettingsError(f"servers' launch cannot be measured: {error}") from error
    return made


def _store(settings: Settings) -> Store | None:
    """What another process of the platform has measured, if that is kept."""
    if settings.measurement_dir is None or settings.seal_key is None:
        return None
    try:
        return Store(settings.measurement_dir, sealing.load(settings.seal_key))
    except (OSError, ValueError) as error:
        raise SettingsError(f"attestation cannot be set up: {words(error)}") from error


async def _prepared(meter: LaunchMeter) -> None:
    """Measure everything once; while files change, as in an upgrade of packages, wait until they do not.

    Raises:
        MeasureError: it cannot be measured, or files change for too long.
    """
    end = asyncio.get_running_loop().time() + deadlines.PROGRAM_SETTLES
    while True:
        try:
            await asyncio.to_thread(meter.prepare)
        except (ChangedError, ChangedWhileStartingError) as error:
            log.warning("program_changing", text=str(error))
            if asyncio.get_running_loop().time() > end:
                raise
        else:
            return
