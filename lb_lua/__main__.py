"""`python -m lb_lua`: writes HAProxy's configuration, has HAProxy check it, and becomes HAProxy.

The process is replaced (exec), so its pid is HAProxy's: whoever started this part stops HAProxy with the same signals.
SIGTERM ends it at once (the process is seen to die of that signal), SIGUSR1 after its last connection has ended. Exit
status 78 means that the settings cannot work.

If an HAProxy runs in the runtime directory, its listeners are taken over (`-x`), so that no connection is lost on the
way: both accept until the old one is sent SIGUSR1, which is for whoever started this one to do. The new one has new
tables; where sessions are it asks the Routing Manager, or knows from the wrappers (`routes.py`). Rejected: a section
`peers`, over which the old process would hand its table to the new one, because a killed process hands over nothing.
"""

import asyncio
import os
import resource
import shutil
import socket
import sys
from pathlib import Path
from typing import Final

import msgspec

from lb_lua import routes
from lb_lua.admin import Admin, AdminError
from lb_lua.config import all_connections, render
from lb_lua.settings import PREFIX, Settings
from standby import deadlines, descriptors, service, short_command
from standby.logs import EventLog
from standby.settings import SettingsError

_SBIN: Final = "/usr/local/sbin:/usr/sbin:/sbin"
_FILES_BESIDES: Final = 200
"""Open files that are no connections: listeners, pipes, and each thread's own."""
log = EventLog("lb_lua")


def main() -> int:
    """Prepare in an event loop, as all parts do, and exec once it is closed."""
    command: list[str] = []

    async def run(settings: Settings, stop: asyncio.Event) -> None:
        command.extend(await prepare(settings))
        if stop.is_set():
            command.clear()

    status = service.run("lb_lua", "The load balancer (HAProxy).", Settings, PREFIX, run)
    if status == 0 and command:
        os.execv(command[0], command)  # noqa: S606  # no shell is wanted
    return status


async def prepare(settings: Settings) -> list[str]:
    """Write what HAProxy reads, have it checked, and give the command line that runs it.

    Raises:
        SettingsError: HAProxy is missing or refuses the configuration; its own words are in the message.
        OSError: a file cannot be written, or the Routing Manager's name does not resolve.
    """
    program = find_program(settings.haproxy)
    check_open_files(settings, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    settings.runtime_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    places = await routes.of_sessions(settings.wrapper_urls)
    write_private(settings.routes_file, routes.lines(places))
    write_private(settings.config_file, render(await _resolved(settings)))
    command = [program, "-db", "-C", str(settings.runtime_dir), "-f", settings.config_file.name]
    await _check([program, "-c", *command[2:]])
    takes_over = await _runs(settings.admin_socket)
    log.info(
        "starting_haproxy",
        program=program,
        host=settings.host,
        port=settings.port,
        takes_over=takes_over,
        sessions=len(places),
    )
    return [*command, "-x", settings.admin_socket.name] if takes_over else command


def check_open_files(settings: Settings, limit: int) -> None:
    """Say it before HAProxy fails to start with a message of its own; HAProxy raises its soft limit itself.

    Raises:
        SettingsError: the hard limit of open files is too low for so many connections.
    """
    needed = 2 * all_connections(settings) + _FILES_BESIDES
    descriptors.check(needed, limit, f"{PREFIX}_MAX_CONNECTIONS={settings.max_connections}")


def write_private(path: Path, text: str) -> None:
    """Replace the file by one that only its owner can read; a reader sees the old text or the new one."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    new.replace(path)


def find_program(name: str) -> str:
    """HAProxy's path.

    Raises:
        SettingsError: there is no such program.
    """
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_SBIN}")
    if found is None:
        raise SettingsError(
            f"there is no program {name} in PATH; install HAProxy, or name its file with {PREFIX}_HAPROXY"
        )
    return found


async def _resolved(settings: Settings) -> Settings:
    """What depends on this machine: the map's whole path, or the Routing Manager's address instead of its name.

    Lua would block a whole thread to resolve a name.
    """
    if settings.static_map is not None:
        settings.static_map.touch()
        return msgspec.structs.replace(settings, static_map=settings.static_map.absolute())
    if settings.routing_manager_socket is not None:
        return settings
    host, port = settings.routing_manager_host, settings.routing_manager_port
    async with asyncio.timeout(deadlines.CONTROL_REQUEST):
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return msgspec.structs.replace(settings, routing_manager_host=found[0][4][0])


async def _runs(admin_socket: Path) -> bool:
    """Whether there is an HAProxy that hands its listeners over."""
    try:
        await Admin(admin_socket).info()
    except AdminError:
        return False  # nothing of one is left, or only its socket
    return True


async def _check(command: list[str]) -> None:
    status, out, err = await short_command.run(command, deadlines.CONTROL_REQUEST)
    if status != 0:
        raise SettingsError(f"HAProxy refuses the configuration: {alerts(out + err)}")


def alerts(output: str) -> str:
    """What `haproxy -c` complained about, without its notices."""
    lines = [line.partition(" : ")[2] for line in output.splitlines() if "[ALERT]" in line]
    return "; ".join(lines) or output.strip()


if __name__ == "__main__":
    sys.exit(main())
