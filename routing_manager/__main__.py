"""`python -m routing_manager`: settings from `ROUTING_MANAGER_…`, until SIGTERM."""

import asyncio
import socket
import sys
from pathlib import Path
from typing import Final

from routing_manager import app
from routing_manager.settings import PREFIX, Settings
from standby import descriptors, service, tls, unix_sockets, web
from standby.errors import words
from standby.logs import EventLog
from standby.settings import SettingsError

_FILES_BESIDES: Final = 200
"""Open files that are no accepted connections: listeners, the log, connections to wrappers."""
log = EventLog("routing_manager")


def _url(scheme: str, address: tuple[str, int]) -> str:
    host, port = address
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _routes_socket(path: Path) -> socket.socket:
    try:
        return unix_sockets.listen(path)
    except OSError as error:
        raise SettingsError(f"{PREFIX}_ROUTES_SOCKET: {path}: {words(error)}") from error


async def main(settings: Settings, stop: asyncio.Event) -> None:
    """Serve until `stop` is set.

    Raises:
        SettingsError: TLS files that are incomplete or cannot be used, or missing where orders are needed; fewer open
            files than connections; no directory for the socket.
    """
    files = tls.tls_files(settings.tls_certificate, settings.tls_key, settings.tls_authorities)
    if files is None and settings.approach == "on-demand":
        raise SettingsError("approach on-demand orders servers over mutual TLS; set the TLS files")
    listeners = [web.Listener(settings.host, settings.port)]
    if files is not None:
        context = tls.server_context(files)
        listeners.append(web.Listener(settings.control_host, settings.control_port, context))
    if settings.routes_socket is not None:
        listeners.append(web.Listener(sock=_routes_socket(settings.routes_socket)))
    descriptors.provide(
        len(listeners) * settings.connections + _FILES_BESIDES,
        f"{PREFIX}_CONNECTIONS={settings.connections}",
    )
    application = app.make(settings, tls.client_context(files) if files else None)
    async with web.serving(
        application, listeners, cancel_on_disconnect=True, most=settings.connections
    ) as bound:
        control_url = _url("https", bound[-1]) if files else None
        log.info("listening", url=_url("http", bound[0]), control_url=control_url)
        service.serves()
        await stop.wait()
        log.info("stopping")


if __name__ == "__main__":
    sys.exit(
        service.run(
            "routing_manager",
            "Decides which server process each user is sent to.",
            Settings,
            PREFIX,
            main,
        )
    )
