"""HAProxy's configuration from the settings: pure, and nothing else decides what HAProxy does.

The text is in `*.cfg` files of this package, joined in an order and filled in with `string.Template`: one beginning,
the budgets of connections, a way to find the destination, one way to connect to it, and the metrics listener if it is
set. With a Routing Manager, finding and connecting stand there three times: the remembered route of a session is tried
first, without a question; then the Routing Manager is asked; and a user whose server has ended just as they came (after
a LOGOUT, say, whose report is still on its way) is routed once more before they are refused.

HAProxy is to be started in the runtime directory: the names of sockets are relative to it, because HAProxy reads commas
and dollar signs in them as its own, and their length is limited.
"""

import os
from pathlib import Path
from string import Template
from typing import Final

from lb_lua.settings import SOURCE_PERIOD, Settings
from standby import deadlines
from standby.ids import LABEL_PATTERN
from standby.settings import SettingsError

Part = tuple[str, dict[str, str]]
"""A template, and the values it has for itself."""
PACKAGE: Final = Path(__file__).resolve().parent
AGAIN_SOCKET: Final = "unix@again.sock"
NOW_SOCKET: Final = "unix@now.sock"
GONE_SOCKET: Final = "unix@gone.sock"
METRICS_CONNECTIONS: Final = 64
"""To the metrics listener, at once."""
_REFUSED_AT_ONCE: Final = 64
"""Connections that are accepted to be refused; each thread does it to one at a time."""
_GONE: Final = {"next": GONE_SOCKET}
_AGAIN_PAUSE: Final = str(round(deadlines.ROUTE_AGAIN * 1000))
_ASKING_BACKENDS: Final = "recalled", "servers", "servers-again"
"""Those that connect to server processes."""
_STATIC: Final[list[Part]] = [("static.cfg", {"backend": "servers"}), ("destination.cfg", _GONE)]
_STATIC_BACKENDS: Final = ("servers",)
_LONGEST_NAME: Final = 100
_HOOK_MARGIN: Final = deadlines.ROUTE_WAIT - deadlines.ROUTE_QUERY


def render(settings: Settings) -> str:
    """The whole configuration file.

    Raises:
        SettingsError: neither a Routing Manager nor a static map is set, or the former's socket is too far away.
    """
    ways = (settings.routing_manager_socket, settings.routing_manager_port, settings.static_map)
    if ways == (None, None, None):
        raise SettingsError(
            "set LB_LUA_ROUTING_MANAGER_SOCKET or LB_LUA_ROUTING_MANAGER_PORT, or LB_LUA_STATIC_MAP to do without a "
            "Routing Manager"
        )
    values = _values(settings)
    return "".join(
        Template((PACKAGE / part).read_text(encoding="utf-8")).substitute(values | own)
        for part, own in _parts(settings)
    )


def _parts(settings: Settings) -> list[Part]:
    """The templates in order, each with the values it has for itself."""
    asking = settings.static_map is None
    finding = _asking() if asking else _STATIC
    backends = _ASKING_BACKENDS if asking else _STATIC_BACKENDS
    counted: list[Part] = [("counted.cfg", {"backend": backend}) for backend in backends]
    metrics: list[Part] = [("metrics.cfg", {})] if settings.metrics_port else []
    beginning: list[Part] = [("common.cfg", {}), ("users.cfg", {}), *counted, ("admitted.cfg", {})]
    return [*beginning, *finding, ("gone.cfg", {}), *metrics]


def _asking() -> list[Part]:
    """With a Routing Manager: a remembered route, else the one it names, else the one it names when asked again."""
    now = {"frontend": "now", "socket": NOW_SOCKET, "pause": "0"}
    later = {"frontend": "again", "socket": AGAIN_SOCKET, "pause": _AGAIN_PAUSE}
    return [
        ("known.cfg", {}),
        ("routed.cfg", {}),
        ("recalled.cfg", {}),
        ("destination.cfg", {"next": NOW_SOCKET}),
        ("asked.cfg", {"backend": "servers"}),
        ("destination.cfg", {"next": AGAIN_SOCKET}),
        ("again.cfg", now),
        ("again.cfg", later),
        ("asked.cfg", {"backend": "servers-again"}),
        ("destination.cfg", _GONE),
    ]


def _values(settings: Settings) -> dict[str, object]:
    """What stands behind each `$name` of the templates."""
    return {
        "threads": settings.threads,
        "source_period": SOURCE_PERIOD,
        **_budgets(settings),
        "bind": _address(settings.host, settings.port),
        "metrics_bind": _address(settings.metrics_host, settings.metrics_port),
        "admin_socket": f"unix@{settings.admin_socket.name}",
        "gone_socket": GONE_SOCKET,
        "label": quoted(LABEL_PATTERN),
        "static_lookup": quoted(f"var(txn.uid),map_str({_argument(str(settings.static_map))})"),
        "routes_lookup": quoted(f"var(txn.uid),map_str({settings.routes_file.name})"),
        "place_address": quoted('var(txn.place),regsub(":[0-9]+$",""),regsub("[][]","",g)'),
        "place_port": quoted('var(txn.place),regsub("^.*:",""),add(0)'),
        "serves_lua": quoted(f"{PACKAGE}/serves.lua"),
        **_durations(settings),
        **_hook(settings),
    }


def _budgets(settings: Settings) -> dict[str, int]:
    """Of connections."""
    return {
        "all_connections": all_connections(settings),
        "accepted_connections": settings.max_connections + _REFUSED_AT_ONCE,
        "metrics_connections": METRICS_CONNECTIONS,
        "max_connections": settings.max_connections,
        "unrouted_connections": settings.unrouted_connections,
        "arrivals": settings.connection_rate * SOURCE_PERIOD,
        "source_share": settings.source_share,
        "logged_connections": settings.logged_connections,
    }


def all_connections(settings: Settings) -> int:
    """As HAProxy counts them, each with two file descriptors: those of users, and as many to its own listeners.

    The connections that Lua opens to the Routing Manager are not in HAProxy's count, but their descriptors are. A
    connection needs one of them before it has a server process, so they fit, but for those that are kept.
    """
    kept = settings.threads * settings.kept_connections
    users = settings.max_connections + _REFUSED_AT_ONCE
    return 2 * users + settings.unrouted_connections + kept + METRICS_CONNECTIONS


def _durations(settings: Settings) -> dict[str, str]:
    """HAProxy's timeouts, in milliseconds.

    A session may begin a request after the connection and end with one, so a quiet connection is kept for that longer
    than a session.
    """
    return {
        "quiet": _milliseconds(settings.session_length + deadlines.CLIENT_REQUEST),
        "session": _milliseconds(settings.session_length),
        "half_closed": _milliseconds(deadlines.CLIENT_REQUEST),
        "quiet_probe": _milliseconds(deadlines.QUIET_PROBE),
        "client_hello": _milliseconds(settings.client_hello),
        "server_connect": _milliseconds(settings.server_connect),
        "route_wait": _milliseconds(settings.route_query + _HOOK_MARGIN),
    }


def _hook(settings: Settings) -> dict[str, object]:
    """Where the Lua files are, and what they read from the environment (HAProxy 2.6 passes them no arguments)."""
    return {
        "lua_path": quoted(f"{PACKAGE}/?.lua"),
        "refusals_lua": quoted(f"{PACKAGE}/refusals.lua"),
        "route_lua": quoted(f"{PACKAGE}/route.lua"),
        "routing_manager": _routing_manager(settings),
        "route_connect": settings.route_connect,
        "route_query": settings.route_query,
        "route_keep": deadlines.ROUTE_KEEP,
        "kept_connections": settings.kept_connections,
        "remembered_routes": settings.remembered_routes,
    }


def _routing_manager(settings: Settings) -> str:
    """A socket's name starts at the runtime directory, which is HAProxy's own: an address has 107 bytes at most."""
    if settings.routing_manager_socket is None:
        return _address(settings.routing_manager_host, settings.routing_manager_port)
    name = os.path.relpath(settings.routing_manager_socket, settings.runtime_dir)
    if len(os.fsencode(name)) > _LONGEST_NAME:
        raise SettingsError(
            f"LB_LUA_ROUTING_MANAGER_SOCKET: {name} is longer than {_LONGEST_NAME} bytes; put the socket nearer to "
            f"{settings.runtime_dir}"
        )
    return quoted(f"unix@{name}")


def quoted(text: str) -> str:
    """One word of a configuration line; HAProxy changes nothing between single quotes."""
    return "'" + text.replace("'", r"'\''") + "'"


def _argument(text: str) -> str:
    """An argument in parentheses: HAProxy reads quotes in it once more."""
    return '"' + text.replace("\\", r"\\").replace('"', r"\"") + '"'


def _address(host: str, port: int | None) -> str:
    return quoted(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")


def _milliseconds(seconds: float) -> str:
    return f"{max(1, round(seconds * 1000))}ms"
