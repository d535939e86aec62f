"""Settings of the Routing Manager (`ROUTING_MANAGER_…`)."""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from standby import deadlines
from standby.settings import about

PREFIX = "ROUTING_MANAGER"


class Settings(Struct, frozen=True, kw_only=True):
    """Addresses, certificates, and the limits that the decisions keep to."""

    host: Annotated[
        str,
        Meta(
            **about("where load balancers and readers connect; without TLS, so a trusted network")
        ),
    ] = "127.0.0.1"
    port: Annotated[
        int, Meta(**about("port of the plain listener; 0: the system chooses"), ge=0, le=65535)
    ] = 8600
    routes_socket: Annotated[
        Path | None,
        Meta(
            **about(
                "Unix socket, mode 0600, over which a load balancer on this machine asks for routes; if set, they are "
                "given there only"
            )
        ),
    ] = None
    control_host: Annotated[
        str, Meta(**about("where wrappers report and operators drain (mutual TLS)"))
    ] = "127.0.0.1"
    control_port: Annotated[
        int, Meta(**about("port of the control listener; 0: the system chooses"), ge=0, le=65535)
    ] = 8601
    tls_certificate: Annotated[
        Path | None,
        Meta(**about("PEM file: own certificate; without TLS files there is no control listener")),
    ] = None
    tls_key: Annotated[Path | None, Meta(**about("PEM file: the certificate's private key"))] = None
    tls_authorities: Annotated[
        Path | None, Meta(**about("PEM file: who certifies wrappers and operators"))
    ] = None
    approach: Annotated[
        Literal["standby", "on-demand"],
        Meta(
            **about(
                "standby: users get servers that run already; on-demand: one is started for each"
            )
        ),
    ] = "standby"
    reservation: Annotated[
        float,
        Meta(
            **about("a server promised to a user is free again without LOGIN after this", "s"), gt=0
        ),
    ] = deadlines.RESERVATION
    exclusive: Annotated[
        float,
        Meta(
            **about(
                "a promised server that nobody logged in to is also given to users who wait after this",
                "s",
            ),
            gt=0,
        ),
    ] = deadlines.EXCLUSIVE
    reservations: Annotated[
        int,
        Meta(
            **about("servers promised at once; further users get one without a promise", "servers"),
            ge=1,
        ),
    ] = 1000
    reservations_per_source: Annotated[
        int,
        Meta(
            **about(
                "of these, for users of one source: an IPv4 address or an IPv6 /64 network",
                "servers",
            ),
            ge=1,
        ),
    ] = 100
    waiting_room: Annotated[
        float, Meta(**about("a user waits at most this long for a server", "s"), gt=0)
    ] = deadlines.WAITING_ROOM
    waiting_places: Annotated[
        int, Meta(**about("users that may wait at once; further ones are refused", "users"), ge=0)
    ] = 1000
    settle: Annotated[
        float,
        Meta(**about("after a start, users without a known session wait this long", "s"), ge=0),
    ] = deadlines.SETTLE
    wrapper_lost: Annotated[
        float,
        Meta(**about("a wrapper silent for this long loses all its servers here", "s"), gt=0),
    ] = deadlines.WRAPPER_LOST
    wrapper_forgotten: Annotated[
        float, Meta(**about("a wrapper silent for this long is no longer shown", "s"), gt=0)
    ] = deadlines.WRAPPER_FORGOTTEN
    order_retry: Annotated[
        float,
        Meta(**about("a start on demand not seen in a report by then is ordered again", "s"), gt=0),
    ] = deadlines.ORDER_RETRY
    body_limit: Annotated[
        int,
        Meta(**about("longest body; 100,000 instances of 250 bytes must fit", "bytes"), ge=1024),
    ] = 32 * 1024 * 1024
    connections: Annotated[
        int,
        Meta(
            **about(
                "of each listener at once, a descriptor each; a new one takes the place of one without a request",
                "connections",
            ),
            ge=1,
        ),
    ] = 2048
    followers: Annotated[
        int, Meta(**about("connections that may follow the state live", "connections"), ge=0)
    ] = 64
