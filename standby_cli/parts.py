"""Which processes make a platform: the command line's options turned into each part's settings.

What the operator set in the environment (`SMARTGRID_SESSION_LENGTH`, `APP_WRAPPER_PROVISIONING_DELAY`, …) reaches the
parts unless an option says otherwise, so every setting of every part can be used with `standby up`.
"""

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import app_wrapper.settings
import lb_lua.settings
import routing_manager.settings
from app_wrapper import server_uids
from standby import deadlines
from standby.identity import Role
from standby.ids import parse_wrapper_id
from standby.tls import TlsFiles
from standby_cli import environs
from standby_cli.authorities import Authorities
from standby_cli.layout import Layout
from standby_cli.options import Options
from standby_cli.part_names import HAPROXY, ROUTING_MANAGER
from standby_cli.ports import LOOPBACK, Pair, Ports, number_of, port_of, url_of

_MAIN: Final = "main"
"""The Routing Manager's name in its certificate."""


@dataclass(frozen=True)
class Part:
    """One process of the platform."""

    name: str
    module: str
    environ: Mapping[str, str] = field(repr=False)
    farewell: signal.Signals | None = None
    """Ends a process whose successor serves already; None: two processes of this part cannot run at once."""
    lingers: float | None = deadlines.WRAPPER_STOP + 1
    """Seconds after its farewell a process has to end by itself; None: it has a bound of its own."""


@dataclass(frozen=True)
class Plan:
    """Makes the parts. Each call of `part` gives a part that has a certificate of its own a new one."""

    options: Options
    ports: Ports
    layout: Layout
    authorities: Authorities

    def parts(self) -> list[Part]:
        """All, in the order in which they are stopped.

        Wrappers first: they take no new users and let sessions go on for a while, over a load balancer that is still
        there.
        """
        return [self.part(name) for name in self.names()]

    def names(self) -> list[str]:
        """Of all parts, in that order."""
        return [
            *self.ports.wrappers,
            HAPROXY,
            *([ROUTING_MANAGER] if self.ports.manager else []),
        ]

    def part(self, name: str) -> Part:
        """The part of that name; the load balancer knows the wrappers that there are now."""
        if name == ROUTING_MANAGER:
            self.authorities.part(Role.ROUTING_MANAGER, _MAIN)
        elif name != HAPROXY:
            self.authorities.part(Role.WRAPPER, name)
        return self.described(name)

    def described(self, name: str) -> Part:
        """The same, and nothing is made for it."""
        if name == HAPROXY:
            return self._balancer()
        if name == ROUTING_MANAGER and self.ports.manager is not None:
            return self._manager(self.ports.manager)
        return self._wrapper(name)

    def _manager(self, pair: Pair) -> Part:
        prefix = routing_manager.settings.PREFIX
        environ = {
            **_listeners(prefix, pair),
            **_tls(prefix, self.authorities.files(Role.ROUTING_MANAGER, _MAIN)),
            f"{prefix}_APPROACH": self.options.approach,
            f"{prefix}_ROUTES_SOCKET": str(self.layout.routes),
        }
        return Part(ROUTING_MANAGER, "routing_manager", {**os.environ, **environ}, signal.SIGTERM)

    def _wrapper(self, wrapper_id: str) -> Part:
        prefix = app_wrapper.settings.PREFIX
        name = parse_wrapper_id(wrapper_id)
        options, layout, manager = self.options, self.layout, self.ports.manager
        environ = {
            **_listeners(prefix, self.ports.wrappers[wrapper_id]),
            **_tls(prefix, self.authorities.files(Role.WRAPPER, name)),
            f"{prefix}_ID": name,
            f"{prefix}_APPROACH": options.approach,
            f"{prefix}_POOL_SIZE": str(options.pool_size),
            f"{prefix}_STATE_DIR": str(layout.wrapper(wrapper_id)),
            f"{prefix}_VOLUMES_DIR": str(layout.volumes),
            f"{prefix}_COPIES_DIR": str(layout.copies),
            f"{prefix}_APP": str(smartgrid_app()),
            f"{prefix}_FIRST_SERVER_UID": str(_first_uid(prefix, number_of(wrapper_id) - 1)),
            f"{prefix}_REPORT_URLS": url_of("https", manager[1]) if manager else "",
            **environs.attestation(options.attestation, layout, self.authorities, wrapper_id),
        }
        servers = environs.servers(options.attestation, layout)
        return Part(wrapper_id, "app_wrapper", servers | environ)

    def _balancer(self) -> Part:
        prefix = lb_lua.settings.PREFIX
        length = os.environ.get("SMARTGRID_SESSION_LENGTH") or str(deadlines.SESSION_LENGTH)
        environ = {
            f"{prefix}_HOST": self.options.host,
            f"{prefix}_PORT": str(port_of(self.ports.balancer)),
            f"{prefix}_RUNTIME_DIR": str(self.layout.lb),
            f"{prefix}_SESSION_LENGTH": length,
        }
        if self.ports.manager is None:
            environ[f"{prefix}_STATIC_MAP"] = str(self.layout.lb / "users.map")
        else:
            environ[f"{prefix}_ROUTING_MANAGER_SOCKET"] = str(self.layout.routes)
            plain = [url_of("http", pair[0]) for pair in self.ports.wrappers.values()]
            environ[f"{prefix}_WRAPPER_URLS"] = ",".join(plain)
        return Part(HAPROXY, "lb_lua", {**os.environ, **environ}, signal.SIGUSR1, lingers=None)


def _tls(prefix: str, files: TlsFiles) -> dict[str, str]:
    return {
        f"{prefix}_TLS_CERTIFICATE": str(files.certificate),
        f"{prefix}_TLS_KEY": str(files.key),
        f"{prefix}_TLS_AUTHORITIES": str(files.authorities),
    }


def _listeners(prefix: str, pair: Pair) -> dict[str, str]:
    plain, control = pair
    return {
        f"{prefix}_HOST": LOOPBACK,
        f"{prefix}_PORT": str(port_of(plain)),
        f"{prefix}_CONTROL_HOST": LOOPBACK,
        f"{prefix}_CONTROL_PORT": str(port_of(control)),
    }


def _first_uid(prefix: str, number: int) -> int:
    """Wrappers of one machine have ranges of uids one after the other."""
    first = os.environ.get(f"{prefix}_FIRST_SERVER_UID")
    return (int(first) if first else server_uids.FIRST) + number * server_uids.SPAN


def smartgrid_app() -> Path:
    import smartgrid_server  # noqa: PLC0415  # only its place on disk is wanted

    return Path(smartgrid_server.__file__).with_name("app.toml")
