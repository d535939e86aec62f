"""The sockets on which servers listen: made by the wrapper, so that nothing can race for a port.

With `inherit` the server gets the listening socket itself, and the wrapper closes its own copy: when the server is
gone, connections are refused at once. A dedicated server's socket is kept, so that its port stays the user's while it
is started again and clients wait instead of being refused. With `port` only the number is chosen here.
"""

import contextlib
import socket
from dataclasses import dataclass
from typing import Final

from app_wrapper.application import SocketMode
from app_wrapper.launchers import LaunchError
from standby.errors import words
from standby.ids import Uid

_BACKLOG: Final = 128


@dataclass(slots=True)
class Place:
    """Where one server listens."""

    host: str
    port: int
    sock: socket.socket | None
    kept: bool = False

    @property
    def fd(self) -> int | None:
        return None if self.sock is None else self.sock.fileno()

    def handed_over(self) -> None:
        """The server has its copy (or will never have one)."""
        if self.sock is not None and not self.kept:
            self.sock.close()
            self.sock = None


class Listening:
    """Hands out places on one address: any port, or the first free one of a range."""

    def __init__(
        self, host: str, mode: SocketMode, first: int | None = None, last: int | None = None
    ) -> None:
        self._host = host
        self._mode = mode
        self._ports = range(first, last + 1) if first and last else range(1)
        self._used: set[int] = set()
        self._kept: dict[Uid, Place] = {}

    def open(self, owner: Uid | None = None) -> Place:
        """A place for one server; the same one again for the same owner.

        Raises:
            LaunchError: no port is free.
        """
        if owner is not None and owner in self._kept:
            return self._kept[owner]
        place = self._first_free()
        self._used.add(place.port)
        if owner is not None:
            place.kept = True
            self._kept[owner] = place
        return place

    def give_back(self, place: Place) -> None:
        """The server is gone."""
        if not place.kept:
            place.handed_over()
            self._used.discard(place.port)

    def close(self) -> None:
        for place in self._kept.values():
            place.kept = False
            place.handed_over()
        self._kept.clear()

    def _first_free(self) -> Place:
        problem: OSError | None = None
        for port in self._ports:
            if port in self._used:
                continue
            try:
                return self._bind(port)
            except OSError as error:
                problem = error
        why = words(problem) if problem else "all of the range are in use"
        raise LaunchError(f"no free port on {self._host} for a server: {why}")

    def _bind(self, port: int) -> Place:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        with contextlib.ExitStack() as undo:
            sock = undo.enter_context(socket.socket(family, socket.SOCK_STREAM))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((self._host, port))
            bound = int(sock.getsockname()[1])
            if self._mode is SocketMode.PORT:
                return Place(self._host, bound, None)
            sock.listen(_BACKLOG)
            undo.pop_all()
            return Place(self._host, bound, sock)
