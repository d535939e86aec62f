"""Where clients connect: the load balancer's address, which a platform keeps when it ends and comes back.

Users' profiles hold it (`standby enroll`), so it is chosen by whatever comes first, `enroll` or `up`, and kept in the
state directory. `standby up --port` chooses another one.
"""

from typing import Final

import msgspec

from standby import decode, durable
from standby.decode import UnreadableError
from standby_cli.endpoints import Address
from standby_cli.layout import Layout
from standby_cli.ports import LOOPBACK, chosen_port

_EVERYWHERE: Final = {"0.0.0.0": LOOPBACK, "::": "::1"}
"""Addresses on which a program listens, and that no client can connect to."""


def kept(layout: Layout) -> Address | None:
    """What was chosen before; None: nothing yet, or it cannot be read."""
    try:
        return decode.json(layout.address.read_bytes(), Address)
    except (OSError, UnreadableError):
        return None


def keep(layout: Layout, address: Address) -> None:
    if address != kept(layout):
        durable.replace(layout.address, msgspec.json.encode(address))


def for_clients(layout: Layout) -> Address:
    """What a client on this machine connects to; chosen now if nothing was before."""
    address = kept(layout)
    if address is None:
        address = Address(host=LOOPBACK, port=chosen_port(LOOPBACK))
        keep(layout, address)
    return Address(host=_EVERYWHERE.get(address.host, address.host), port=address.port)


def url_of(address: Address) -> str:
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"https://{host}:{address.port}"
