"""`endpoints.json`: written when every part is ready, rewritten when one was restarted, removed at the end."""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from standby import decode
from standby.decode import UnreadableError
from standby.ids import LABEL_PATTERN
from standby.messages import MOST_WRAPPERS, Port
from standby.processes import Pid
from standby.text import sentence
from standby_cli.errors import NotRunningError

_Name = Annotated[str, Meta(max_length=63, pattern=LABEL_PATTERN)]
_Url = Annotated[str, Meta(max_length=300, pattern=r"^https?://[!-~]+$(?!\n)")]


class Address(Struct, frozen=True, kw_only=True):
    host: Annotated[str, Meta(max_length=253, pattern=r"^[!-~]+$(?!\n)")]
    port: Port


class Urls(Struct, frozen=True, kw_only=True):
    url: _Url
    """Plain HTTP, for reading."""
    control_url: _Url
    """Mutual TLS, for orders."""


class WrapperUrls(Struct, frozen=True, kw_only=True):
    id: _Name
    url: _Url
    control_url: _Url


class Pids(Struct, frozen=True, kw_only=True):
    routing_manager: Pid | None
    haproxy: Pid
    wrappers: Annotated[dict[_Name, Pid], Meta(max_length=MOST_WRAPPERS)]
    supervisor: Pid


class Endpoints(Struct, frozen=True, kw_only=True):
    approach: Annotated[str, sentence(40)]
    lb: Address
    routing_manager: Urls | None
    """None with the approach `trivial`, which has none."""
    wrappers: Annotated[list[WrapperUrls], Meta(max_length=MOST_WRAPPERS)]
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
        return decode.json(path.read_bytes(), Endpoints)
    except FileNotFoundError as error:
        raise NotRunningError(
            f"no platform runs with the state directory {path.parent}; start one with `standby up`"
        ) from error
    except UnreadableError as error:
        raise NotRunningError(f"{path} cannot be used: {error}") from error
