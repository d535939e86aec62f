"""The ports of a platform's parts: kept ours while a part is down, and while the platform changes.

Each is a bound socket that never listens (`standby.processes.reserve_port`); the parts bind the same ports. So a port
that cannot be had is known before anything starts, also one that another platform of this account has.

Operators may choose them (`Fixed`). Several wrappers have ports one after the other, as they have ranges of uids.
"""

import errno
import itertools
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import app_wrapper.settings
import routing_manager.settings
from standby import processes
from standby.errors import words
from standby_cli.errors import ConfigurationError

LOOPBACK: Final = "127.0.0.1"
Pair = tuple[socket.socket, socket.socket]
"""Plain and control listener."""
NAMES: Final = ("PORT", "CONTROL_PORT")
"""Settings of the two; with the part's prefix."""


@dataclass(frozen=True)
class Fixed:
    """Ports that the operator has chosen, plain and control; 0: the system chooses."""

    manager: tuple[int, int] = (0, 0)
    first_wrapper: tuple[int, int] = (0, 0)

    @classmethod
    def given(cls, environ: Mapping[str, str]) -> "Fixed":
        """By the parts' own variables, which were checked before."""

        def pair(prefix: str) -> tuple[int, int]:
            plain, control = (int(environ.get(f"{prefix}_{name}") or 0) for name in NAMES)
            return plain, control

        return cls(pair(routing_manager.settings.PREFIX), pair(app_wrapper.settings.PREFIX))

    def wrapper(self, number: int) -> tuple[int, int]:
        """Of the wrapper with this number, 1 for the first."""
        plain, control = self.first_wrapper
        return plain and plain + number - 1, control and control + number - 1


@dataclass(frozen=True)
class Ports:
    balancer: socket.socket
    manager: Pair | None
    """None with the approach `trivial`, which has none."""
    wrappers: dict[str, Pair]
    """By wrapper id; `w1` is the first."""
    fixed: Fixed = field(default_factory=Fixed)

    @classmethod
    def reserve(
        cls, host: str, port: int, wrappers: int, *, manager: bool, fixed: Fixed | None = None
    ) -> "Ports":
        """Reserve them all.

        Args:
            host: address of the load balancer
            port: of the load balancer; 0: the system chooses
            wrappers: how many there are
            manager: whether there is a Routing Manager
            fixed: what the operator has chosen of the others

        Raises:
            ConfigurationError: one of them cannot be had; nothing is reserved then.
        """
        fixed = fixed or Fixed()
        ports = cls(_reserved("the load balancer", "--port", host, port), None, {}, fixed)
        try:
            if manager:
                pair = _pair("the Routing Manager", routing_manager.settings.PREFIX, fixed.manager)
                ports = replace(ports, manager=pair)
            for _ in range(wrappers):
                ports.add_wrapper()
        except BaseException:
            ports.close()
            raise
        return ports

    def add_wrapper(self) -> str:
        """Reserve the ports of one more wrapper; its id has the lowest number that is free.

        Raises:
            ConfigurationError: one of them cannot be had.
        """
        numbers = itertools.count(1)
        number = next(n for n in numbers if f"w{n}" not in self.wrappers)
        wrapper_id = f"w{number}"
        wanted = self.fixed.wrapper(number)
        self.wrappers[wrapper_id] = _pair(
            f"wrapper {wrapper_id}", app_wrapper.settings.PREFIX, wanted
        )
        return wrapper_id

    def remove_wrapper(self, wrapper_id: str) -> None:
        """Give the ports of a wrapper back."""
        for sock in self.wrappers.pop(wrapper_id):
            sock.close()

    def close(self) -> None:
        pairs = [*self.wrappers.values(), *([self.manager] if self.manager else [])]
        for sock in (self.balancer, *(sock for pair in pairs for sock in pair)):
            sock.close()


def chosen_port(host: str) -> int:
    """A port that is free now, for a listener that comes later."""
    with processes.reserve_port(host, 0) as sock:
        return port_of(sock)


def number_of(wrapper_id: str) -> int:
    """1 for `w1`."""
    return int(wrapper_id.removeprefix("w"))


def port_of(sock: socket.socket) -> int:
    return int(sock.getsockname()[1])


def url_of(scheme: str, sock: socket.socket) -> str:
    return f"{scheme}://{LOOPBACK}:{port_of(sock)}"


def _pair(owner: str, prefix: str, wanted: tuple[int, int]) -> Pair:
    plain = _reserved(owner, f"{prefix}_{NAMES[0]}", LOOPBACK, wanted[0])
    try:
        return plain, _reserved(owner, f"{prefix}_{NAMES[1]}", LOOPBACK, wanted[1])
    except BaseException:
        plain.close()
        raise


def _reserved(owner: str, setting: str, host: str, port: int) -> socket.socket:
    """`setting`: by which the operator chooses the port."""
    try:
        return processes.reserve_port(host, port)
    except (OSError, OverflowError) as error:
        raise ConfigurationError(
            f"{owner} cannot have {host}:{port}: {_why(error, setting)}"
        ) from error


def refuse_taken(setting: str, host: str, port: int) -> None:
    """Refuse a port that a part could not have.

    Raises:
        ConfigurationError: why.
    """
    _reserved(setting, setting, host, port).close()


def _why(error: Exception, setting: str) -> str:
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EADDRINUSE:
        return f"the port is in use; end the program that has it, or choose another one ({setting})"
    if number in {errno.EACCES, errno.EPERM}:
        return f"this account may not use that port; choose one above 1023 ({setting})"
    if number == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return "that is no address of this machine (--host)"
    return words(error)
