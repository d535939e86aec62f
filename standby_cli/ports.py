"""The ports of a platform's parts: kept ours while a part is down, and while the platform changes.

Each is a bound socket that never listens (`standby.processes.reserve_port`); the parts bind the same ports.
"""

import itertools
import socket
from dataclasses import dataclass
from typing import Final

from standby import processes

LOOPBACK: Final = "127.0.0.1"
Pair = tuple[socket.socket, socket.socket]
"""Plain and control listener."""


@dataclass(frozen=True)
class Ports:
    balancer: socket.socket
    manager: Pair | None
    """None with the approach `trivial`, which has none."""
    wrappers: dict[str, Pair]
    """By wrapper id; `w1` is the first."""

    @classmethod
    def reserve(cls, host: str, port: int, wrappers: int, *, manager: bool) -> "Ports":
        """Reserve them all.

        Args:
            host: address of the load balancer
            port: of the load balancer; 0: the system chooses
            wrappers: how many there are
            manager: whether there is a Routing Manager

        Raises:
            OSError: the load balancer's port is taken.
        """
        ports = cls(processes.reserve_port(host, port), _pair() if manager else None, {})
        for _ in range(wrappers):
            ports.add_wrapper()
        return ports

    def add_wrapper(self) -> str:
        """Reserve the ports of one more wrapper; its id has the lowest number that is free."""
        numbers = itertools.count(1)
        wrapper_id = next(name for n in numbers if (name := f"w{n}") not in self.wrappers)
        self.wrappers[wrapper_id] = _pair()
        return wrapper_id

    def remove_wrapper(self, wrapper_id: str) -> None:
        """Give the ports of a wrapper back."""
        for sock in self.wrappers.pop(wrapper_id):
            sock.close()

    def close(self) -> None:
        pairs = [*self.wrappers.values(), *([self.manager] if self.manager else [])]
        for sock in (self.balancer, *(sock for pair in pairs for sock in pair)):
            sock.close()


def number_of(wrapper_id: str) -> int:
    """1 for `w1`."""
    return int(wrapper_id.removeprefix("w"))


def port_of(sock: socket.socket) -> int:
    return int(sock.getsockname()[1])


def url_of(scheme: str, sock: socket.socket) -> str:
    return f"{scheme}://{LOOPBACK}:{port_of(sock)}"


def _pair() -> Pair:
    return processes.reserve_port(), processes.reserve_port()
