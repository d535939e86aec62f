"""`endpoints.json`: written when every part is ready, rewritten when one was restarted, removed at the end."""

from pathlib import Path

import msgspec
from msgspec import Struct

from standby_cli.errors import NotRunningError


class Address(Struct, frozen=True, kw_only=True):
    host: str
    port: int


class Urls(Struct, frozen=True, kw_only=True):
    url: str
    """Plain HTTP, for reading."""
    control_url: str
    """Mutual TLS, for orders."""


class WrapperUrls(Struct, frozen=True, kw_only=True):
    id: str
    url: str
    control_url: str


class Pids(Struct, frozen=True, kw_only=True):
    routing_manager: int | None
    haproxy: int
    wrappers: dict[str, int]
    supervisor: int


class Endpoints(Struct, frozen=True, kw_only=True):
    approach: str
    lb: Address
    routing_manager: Urls | None
    """None with the approach `trivial`, which has none."""
    wrappers: list[WrapperUrls]
    pids: Pids


def write(path: Path, endpoints: Endpoints) -> None:
    """Replace the file as a whole, so that a reader never sees half of it."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(endpoints), indent=2) + b"\n")
    fresh.replace(path)


def read(path: Path) -> Endpoints:
    """The running platform's endpoints.

    Raises:
        NotRunningError: there is no such file, or it is not one of ours.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Endpoints)
    except FileNotFoundError as error:
        raise NotRunningError(
            f"no platform runs with the state directory {path.parent}; start one with `standby up`"
        ) from error
    except msgspec.MsgspecError as error:
        raise NotRunningError(f"{path} cannot be used: {error}") from error
