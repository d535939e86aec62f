"""What can be set for the load balancer (`LB_LUA_…`)."""

from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta, Struct

from standby import deadlines
from standby.messages import Port
from standby.settings import about

PREFIX: Final = "LB_LUA"
SOURCE_PERIOD: Final = 10
"""Seconds over which new connections of one source are counted."""


class Settings(Struct, frozen=True, kw_only=True):
    """One HAProxy process."""

    host: Annotated[str, Meta(**about("address that users connect to"))] = "127.0.0.1"
    port: Annotated[Port, Meta(**about("port that users connect to"))]
    runtime_dir: Annotated[
        Path, Meta(**about("directory for the configuration and the admin socket; made if absent"))
    ]
    routing_manager_socket: Annotated[
        Path | None,
        Meta(
            **about("the Routing Manager's Unix socket for routes (ROUTING_MANAGER_ROUTES_SOCKET)")
        ),
    ] = None
    routing_manager_host: Annotated[
        str,
        Meta(
            **about(
                "the Routing Manager's plain listener, where it has no such socket here; a name is resolved once, at "
                "start"
            )
        ),
    ] = "127.0.0.1"
    routing_manager_port: Annotated[
        Port | None, Meta(**about("its port; needed unless its socket or static_map is set"))
    ] = None
    wrapper_urls: Annotated[
        tuple[Annotated[str, Meta(pattern="^http://")], ...],
        Meta(
            **about(
                "wrappers' plain URLs, with commas; asked at the start where sessions are, for users who come "
                "while the Routing Manager is away"
            )
        ),
    ] = ()
    static_map: Annotated[
        Path | None,
        Meta(
            **about(
                "file of `uid address:port` lines that replaces the Routing Manager "
                "(approach trivial); made if absent"
            )
        ),
    ] = None
    metrics_host: Annotated[
        str, Meta(**about("address of /metrics (Prometheus), /healthz and /readyz"))
    ] = "127.0.0.1"
    metrics_port: Annotated[Port | None, Meta(**about("their port; absent: not served"))] = None
    threads: Annotated[int, Meta(**about("HAProxy threads"), ge=1, le=64)] = 2
    max_connections: Annotated[
        int,
        Meta(
            **about(
                "users' connections at once; further ones are closed unanswered. Each may need four file descriptors "
                "here"
            ),
            ge=1,
            le=1_000_000,
        ),
    ] = 4_000
    unrouted_connections: Annotated[
        int,
        Meta(
            **about(
                "of these, connections that are not connected to a server process yet: their ClientHello or the "
                "Routing Manager's answer is awaited; the Routing Manager is asked for so many at once"
            ),
            ge=1,
            le=1_000_000,
        ),
    ] = 1_000
    connection_rate: Annotated[
        int,
        Meta(
            **about(
                "new connections; further ones are closed unanswered. One with a new user name costs a server process "
                "about 5 ms",
                "per second",
            ),
            ge=1,
            le=1_000_000,
        ),
    ] = 100
    source_share: Annotated[
        int,
        Meta(
            **about(
                "of each of these three budgets, one source (an IPv4 address or an IPv6 /64 network) may take one n-th "
                "of what is free: alone one (n+1)-th of the whole, and k busy sources together k/(n+k). Users behind "
                "one address translator are one source. 0: one source may take all of it"
            ),
            ge=0,
            le=1000,
        ),
    ] = 8
    logged_connections: Annotated[
        int,
        Meta(
            **about(
                f"connections of one source, and refusals of one code, that are logged in {SOURCE_PERIOD} s; metrics "
                "count all"
            ),
            ge=0,
        ),
    ] = 10
    remembered_routes: Annotated[
        int,
        Meta(
            **about("routes of live sessions kept for when the Routing Manager is away"),
            ge=2,
            le=1_000_000,
        ),
    ] = 20_000
    kept_connections: Annotated[
        int,
        Meta(
            **about("idle connections to the Routing Manager kept for reuse, per thread"),
            ge=0,
            le=1000,
        ),
    ] = 8
    session_length: Annotated[
        float,
        Meta(**about("longest session; no connection ends for quietness before", "s"), gt=0),
    ] = deadlines.SESSION_LENGTH
    client_hello: Annotated[
        float, Meta(**about("for a complete ClientHello to arrive", "s"), gt=0)
    ] = deadlines.CLIENT_HELLO
    route_connect: Annotated[
        float, Meta(**about("for connecting to the Routing Manager", "s"), gt=0)
    ] = deadlines.ROUTE_CONNECT
    route_query: Annotated[
        float,
        Meta(**about("for its answer, which may include its waiting room", "s"), gt=0),
    ] = deadlines.ROUTE_QUERY
    server_connect: Annotated[
        float, Meta(**about("for connecting to a server process", "s"), gt=0)
    ] = deadlines.SERVER_CONNECT
    haproxy: Annotated[
        str, Meta(**about("HAProxy's program; searched in PATH and the sbin directories"))
    ] = "haproxy"

    @property
    def admin_socket(self) -> Path:
        """HAProxy's admin socket; whoever may open it may change everything."""
        return self.runtime_dir / "admin.sock"

    @property
    def routes_file(self) -> Path:
        """Where sessions were when HAProxy was started: lines of `uid address:port`."""
        return self.runtime_dir / "routes.map"

    @property
    def config_file(self) -> Path:
        return self.runtime_dir / "haproxy.cfg"
