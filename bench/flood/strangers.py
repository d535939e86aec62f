"""A flood of connections without a certificate, in a process of its own."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from standby.processes import dies_with_parent


class Kind(StrEnum):
    """What each connection does; one that ends is opened again."""

    NAMES = "names"
    """Sends a ClientHello with a made-up name of its own, and nothing more."""
    IDLE = "idle"
    """Sends nothing."""
    TRICKLE = "trickle"
    """Sends a ClientHello byte by byte."""
    CHURN = "churn"
    """Sends a ClientHello with a made-up name and leaves as soon as it is answered."""


@dataclass(frozen=True, slots=True)
class Flood:
    kind: Kind
    connections: int
    """Kept open at once, as far as the load balancer lets them."""
    sources: int = 1
    """Addresses they come from in turn: 127.0.2.1, 127.0.2.2, …"""

    @property
    def addresses(self) -> list[str]:
        return [f"127.0.2.{number}" for number in range(1, self.sources + 1)]


@dataclass(slots=True)
class Came:
    """What came of a flood; known once it is over."""

    opened: int = 0
    """Connections, counted when TCP had opened them."""
    most: int = 0
    """Of them at once."""


_END: Final = 10.0
"""Seconds for the process to end."""


@contextlib.contextmanager
def flooding(flood: Flood, port: int, came: Came) -> Iterator[None]:
    """Strangers come to this port while the context lasts; entered once every connection was tried.

    `came` is filled in at the end.
    """
    if not flood.connections:
        yield
        return
    process = subprocess.Popen(
        [
            sys.executable,
            *("-m", "bench.flood.stranger"),
            *(flood.kind, str(port), str(flood.connections), *flood.addresses),
        ],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=dies_with_parent(),  # noqa: PLW1509  # entered while there is one thread only
    )
    with process:
        try:
            if process.stdout is None or process.stdout.readline() != "flooding\n":
                raise RuntimeError("the strangers' process has failed")
            yield
        finally:
            process.terminate()
            output, _ = process.communicate(timeout=_END)
            if words := output.split():
                came.opened, came.most = map(int, words)
