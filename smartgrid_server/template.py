"""`python -m smartgrid_server.template`: from which servers are forked; see `standby.template`.

Before the first one it imports everything, rehearses a server's life and prepares what all servers have in common.
Certificates' keys, sockets and the event loop are the server's own.
"""

import os
import sys
from collections.abc import Mapping
from functools import partial

from msgspec import structs

from smartgrid_server import main
from smartgrid_server.hardening import Rights
from smartgrid_server.prepared import Prepared
from smartgrid_server.rehearsal import rehearse
from smartgrid_server.settings import PART, PREFIX, Settings
from standby import service, settings
from standby.logs import EventLog
from standby.template import serve

log = EventLog(__name__)


def run() -> int:
    """Be a template until the wrapper closes its socket; returns the exit status."""
    try:
        service.configure_logs(PART, PREFIX)
    except settings.SettingsError as error:
        return service.cannot_work(PART, error)
    try:
        rehearse()
    except Exception as error:  # noqa: BLE001  # servers work without it as well, only slower
        log.error("rehearsal_failed", error=error)
    try:
        common = settings.load(Settings, PREFIX, os.environ)
        prepared = Prepared.make(common)
        rights = Rights(prepared.libraries)
        rights.rehearse(structs.replace(common, listen_fd=0))  # a server inherits its socket
    except settings.SettingsError as error:
        return service.cannot_work(PART, error)

    def be_server(own: Mapping[str, str]) -> int:
        return service.live(
            PART,
            lambda: settings.changed(common, PREFIX, own),
            partial(main.run, prepared=prepared, hardened=rights.outcomes),
            rights.give_up,
        )

    return serve(be_server)


if __name__ == "__main__":
    status = run()
    sys.stdout.flush()
    os._exit(status)
