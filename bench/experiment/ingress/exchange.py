"""One connection, from the client's side: TCP, the ClientHello, the answer, the end.

The backend closes first and the load balancer after it, so that the ports of ended connections are not kept waiting
(TIME_WAIT) on the side that needs new ones.
"""

import socket
import time
from enum import StrEnum
from typing import Final

from bench.experiment.ingress.hello import MISROUTED, RIGHT, is_alert

clock: Final = time.perf_counter
_CHUNK: Final = 1 << 12


class End(StrEnum):
    """How an exchange ended; the values are the codes in requests.csv."""

    RIGHT = ""
    MISROUTED = "misrouted"
    """Another user's backend answered."""
    REFUSED = "refused"
    """The load balancer answered with a TLS alert."""
    UNREACHABLE = "unreachable"
    """There was no TCP connection to it."""
    CLOSED = "closed"
    """It ended without a whole answer."""
    TIMEOUT = "timeout"


class Exchange:
    """Moments are of `clock`; the socket is open until `close`."""

    __slots__ = ("_answer", "answered", "began", "connected", "intended", "socket", "user")

    def __init__(self, user: int, intended: float, began: float) -> None:
        self.user = user
        self.intended = intended
        self.began = began
        self.connected: float | None = None
        """And the ClientHello was sent."""
        self.answered: float | None = None
        """Whole, or the end without."""
        self._answer = b""
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)

    def connect(self, port: int) -> None:
        """Begin to; on the loopback the connection is there at once, most often."""
        self.socket.connect_ex(("127.0.0.1", port))  # an error comes back with the next call

    def proceed(self, hello: bytes) -> End | None:
        """Do what can be done now; None while more is to come."""
        try:
            if self.connected is None:
                self.socket.send(hello)
                self.connected = clock()
                return None
            return self._receive()
        except BlockingIOError:
            return None
        except OSError:
            self.answered = clock()
            return End.UNREACHABLE if self.connected is None else End.CLOSED

    def close(self) -> None:
        self.socket.close()

    def _receive(self) -> End:
        """Until the end of the connection, or until there is nothing for now (BlockingIOError)."""
        while more := self.socket.recv(_CHUNK):
            self._answer += more
            if len(self._answer) == len(RIGHT):
                self.answered = clock()
        self.answered = self.answered or clock()
        if self._answer == RIGHT:
            return End.RIGHT
        if self._answer == MISROUTED:
            return End.MISROUTED
        return End.REFUSED if is_alert(self._answer) else End.CLOSED
