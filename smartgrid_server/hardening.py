"""What this server gives up: all that a session does not need, before it waits for its user, and more at LOGIN.

Before it has an event loop or a second thread: the layers of `standby.hardening`. It may read its own files and
Python's libraries, and change files below the volumes' root, because whose volume it will be is not known yet. It can
make, remove and rename none anywhere: a volume has its files before a server has it. At LOGIN,
before the database's thread exists, it narrows to the one volume that it was given, so the process that serves a user
cannot open any other user's files, whatever happens to it.

Between the two a server could open other users' encrypted databases, if it were made to; no user has spoken to it then.
A server that was told no root of volumes (one started by hand) goes without the layer for files.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from smartgrid_server.settings import Hardening, Settings
from standby.hardening import (
    HardeningError,
    Layer,
    Outcome,
    Places,
    Plan,
    Report,
    harden,
    narrow,
    rehearse,
)
from standby.logs import EventLog
from standby.settings import SettingsError

_PROTECTS: Final = {Outcome.APPLIED, Outcome.PARTLY}
log = EventLog(__name__)


class Rights:
    """What a server may keep, and what became of the rest."""

    def __init__(self, libraries: Sequence[Path]) -> None:
        """`libraries` are looked for before a server is forked, because that touches pages."""
        self._libraries = libraries
        self._report: Report | None = None

    def outcomes(self) -> dict[Layer, Outcome]:
        """What became of each layer, for the wrapper."""
        if self._report is None:
            return dict.fromkeys(Layer, Outcome.OFF)
        return {each.layer: each.outcome for each in self._report.layers}

    def rehearse(self, settings: Settings) -> None:
        """Do everything but the giving up, in a template, so that servers find it done."""
        if settings.hardening is not Hardening.OFF:
            rehearse(self._plan(settings))

    def give_up(self, settings: Settings) -> None:
        """Apply every layer; to be called before the process has an event loop or a second thread.

        Raises:
            SettingsError: a layer is missing and the settings require it.
        """
        if settings.hardening is Hardening.OFF:
            log.warning("not_hardened", text="SMARTGRID_HARDENING=off")
            return
        try:
            self._report = report = harden(self._plan(settings))
        except HardeningError as error:
            raise SettingsError(f"SMARTGRID_HARDENING={settings.hardening}: {error}") from error
        for each in report.missing:
            if each.layer is Layer.OWN_UID and settings.run_as is None:
                continue  # its wrapper has said, once for all servers, why it gives none
            log.warning("not_hardened", layer=each.layer, outcome=each.outcome, text=each.text)

    def _plan(self, settings: Settings) -> Plan:
        own = (settings.client_authorities, *_issuer_files(settings))
        written = () if settings.volumes_dir is None else (settings.volumes_dir,)
        return Plan(
            places=Places(read_only=(*own, *self._libraries), changed=written),
            ports=() if settings.listen_fd is not None else (settings.port,),
            layers=frozenset(Layer) if written else frozenset(Layer) - {Layer.LANDLOCK},
            required=settings.hardening is Hardening.REQUIRED,
            run_as=settings.run_as,
        )


def _issuer_files(settings: Settings) -> tuple[Path, ...]:
    """None of them is read by a server that gets its certificate over an inherited descriptor."""
    if settings.attest_fd is not None:
        return ()
    files = (settings.issuer_certificate, settings.issuer_key)
    return tuple(each for each in files if each is not None)


def keep_only(volume: Path, settings: Settings, libraries: Sequence[Path]) -> None:
    """From now on the server opens nothing but this user's volume and what its program needs.

    Raises:
        HardeningError: it could not be done, and the settings require it.
    """
    if settings.hardening is Hardening.OFF or settings.volumes_dir is None:
        return
    required = settings.hardening is Hardening.REQUIRED
    report = narrow(Places(read_only=tuple(libraries), changed=(volume,)), required=required)
    if report.outcome not in _PROTECTS:
        log.warning("not_narrowed", outcome=report.outcome, text=report.text)
