"""Which processes make a platform: the command line's options turned into each part's settings.

Pure, but for the reserved ports it is given.

What the operator set in the environment (`SMARTGRID_SESSION_LENGTH`, `APP_WRAPPER_PROVISIONING_DELAY`, …) reaches the
parts unless an option says otherwise, so every setting of every part can be used with `standby up`.
"""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

import app_wrapper.settings
import lb_lua.settings
import routing_manager.settings
from app_wrapper import ownership
from app_wrapper.settings import Attestation
from standby import deadlines, processes
from standby.identity import Role
from standby.ids import parse_wrapper_id
from standby.tls import TlsFiles
from standby_cli import environs
from standby_cli.authorities import Authorities
from standby_cli.layout import Layout

LOOPBACK: Final = "127.0.0.1"
ROUTING_MANAGER: Final = "routing-manager"
HAPROXY: Final = "haproxy"


class Approach(StrEnum):
    STANDBY = "standby"
    ON_DEMAND = "on-demand"
    TRIVIAL = "trivial"


@dataclass(frozen=True)
class Options:
    """What `standby up` was asked for."""

    approach: Approach
    pool_size: int
    """Server processes of each wrapper."""
    wrappers: int
    host: str
    port: int
    """Of the load balancer; 0: the system chooses."""
    attestation: Attestation
    policy: Path | None = None
    """To be installed; None: the one that is installed, else the platform's own."""


@dataclass(frozen=True)
class Part:
    """One process of the platform."""

    name: str
    module: str
    environ: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class Ports:
    """Sockets that keep every part's ports ours while the platform is up (see `reserve_port`)."""

    balancer: socket.socket
    manager: tuple[socket.socket, socket.socket] | None
    """Plain and control listener; None with the approach `trivial`."""
    wrappers: Mapping[str, tuple[socket.socket, socket.socket]]

    @classmethod
    def reserve(cls, options: Options) -> "Ports":
        """Reserve them all.

        Raises:
            OSError: the load balancer's port is taken.
        """
        balancer = processes.reserve_port(options.host, options.port)
        ids = [f"w{number}" for number in range(1, options.wrappers + 1)]
        trivial = options.approach is Approach.TRIVIAL
        return cls(
            balancer=balancer,
            manager=None if trivial else (processes.reserve_port(), processes.reserve_port()),
            wrappers={each: (processes.reserve_port(), processes.reserve_port()) for each in ids},
        )

    def close(self) -> None:
        pairs = [*self.wrappers.values(), *([self.manager] if self.manager else [])]
        for sock in (self.balancer, *(sock for pair in pairs for sock in pair)):
            sock.close()


def port_of(sock: socket.socket) -> int:
    return int(sock.getsockname()[1])


def url_of(scheme: str, sock: socket.socket) -> str:
    return f"{scheme}://{LOOPBACK}:{port_of(sock)}"


def plan(options: Options, ports: Ports, layout: Layout) -> list[Part]:
    """The parts in the order in which they are stopped.

    Wrappers first: they take no new users and let sessions go on for a while, over a load balancer that is still there.
    """
    authorities = Authorities(layout)
    parts = [
        _wrapper(options, ports, layout, authorities, wrapper_id) for wrapper_id in ports.wrappers
    ]
    parts.append(_balancer(options, ports, layout))
    if ports.manager is not None:
        parts.append(_manager(options, ports.manager, authorities))
    return parts


def _tls(prefix: str, files: TlsFiles) -> dict[str, str]:
    return {
        f"{prefix}_TLS_CERTIFICATE": str(files.certificate),
        f"{prefix}_TLS_KEY": str(files.key),
        f"{prefix}_TLS_AUTHORITIES": str(files.authorities),
    }


def _listeners(prefix: str, pair: tuple[socket.socket, socket.socket]) -> dict[str, str]:
    plain, control = pair
    return {
        f"{prefix}_HOST": LOOPBACK,
        f"{prefix}_PORT": str(port_of(plain)),
        f"{prefix}_CONTROL_HOST": LOOPBACK,
        f"{prefix}_CONTROL_PORT": str(port_of(control)),
    }


def _part(name: str, module: str, environ: Mapping[str, str]) -> Part:
    return Part(name, module, {**os.environ, **environ})


def _manager(
    options: Options, pair: tuple[socket.socket, socket.socket], authorities: Authorities
) -> Part:
    prefix = routing_manager.settings.PREFIX
    environ = {
        **_listeners(prefix, pair),
        **_tls(prefix, authorities.part(Role.ROUTING_MANAGER, "main")),
        f"{prefix}_APPROACH": options.approach,
    }
    return _part(ROUTING_MANAGER, "routing_manager", environ)


def _first_uid(prefix: str, number: int) -> int:
    """Wrappers of one machine have ranges of uids one after the other."""
    first = os.environ.get(f"{prefix}_FIRST_SERVER_UID")
    return (int(first) if first else ownership.FIRST) + number * ownership.SPAN


def _wrapper(
    options: Options, ports: Ports, layout: Layout, authorities: Authorities, wrapper_id: str
) -> Part:
    prefix = app_wrapper.settings.PREFIX
    name = parse_wrapper_id(wrapper_id)
    environ = {
        **_listeners(prefix, ports.wrappers[wrapper_id]),
        **_tls(prefix, authorities.part(Role.WRAPPER, name)),
        f"{prefix}_ID": name,
        f"{prefix}_APPROACH": options.approach,
        f"{prefix}_POOL_SIZE": str(options.pool_size),
        f"{prefix}_STATE_DIR": str(layout.wrapper(wrapper_id)),
        f"{prefix}_VOLUMES_DIR": str(layout.volumes),
        f"{prefix}_APP": str(smartgrid_app()),
        f"{prefix}_FIRST_SERVER_UID": str(_first_uid(prefix, [*ports.wrappers].index(wrapper_id))),
        f"{prefix}_REPORT_URLS": url_of("https", ports.manager[1]) if ports.manager else "",
        **environs.attestation(options.attestation, layout, authorities, wrapper_id),
    }
    servers = environs.servers(options.attestation, layout)
    return Part(wrapper_id, "app_wrapper", servers | environ)


def _balancer(options: Options, ports: Ports, layout: Layout) -> Part:
    prefix = lb_lua.settings.PREFIX
    length = os.environ.get("SMARTGRID_SESSION_LENGTH") or str(deadlines.SESSION_LENGTH)
    environ = {
        f"{prefix}_HOST": options.host,
        f"{prefix}_PORT": str(port_of(ports.balancer)),
        f"{prefix}_RUNTIME_DIR": str(layout.lb),
        f"{prefix}_SESSION_LENGTH": length,
    }
    if ports.manager is None:
        environ[f"{prefix}_STATIC_MAP"] = str(layout.lb / "users.map")
    else:
        environ[f"{prefix}_ROUTING_MANAGER_HOST"] = LOOPBACK
        environ[f"{prefix}_ROUTING_MANAGER_PORT"] = str(port_of(ports.manager[0]))
    return _part(HAPROXY, "lb_lua", environ)


def smartgrid_app() -> Path:
    import smartgrid_server  # noqa: PLC0415  # only its place on disk is wanted

    return Path(smartgrid_server.__file__).with_name("app.toml")
