"""`python -m bench.flood.stranger KIND PORT CONNECTIONS SOURCE...`: flood 127.0.0.1:PORT until SIGTERM.

Connections that end are opened again, `_A_SECOND` at most. One line says that every connection was tried once, and
at the end another one what came of them. There is no event loop, so that little of what is measured is its own.
"""

import os
import resource
import select
import signal
import socket
import sys
import time
from collections import deque
from dataclasses import dataclass
from itertools import count
from typing import Final

from bench.experiment.ingress.hello import client_hellos, server_name
from bench.flood.strangers import Kind

_A_SECOND: Final = 4_000
_AT_ONCE: Final = 200
_BYTE: Final = 0.5
"""Seconds between two bytes of a ClientHello that trickles."""
_WAIT: Final = 0.005
"""Seconds; the longest time without a look at who has left."""
_NICEST: Final = 19
_BIND_ADDRESS_NO_PORT: Final = 24
"""A socket option of Linux that Python does not name: the port is chosen when it connects."""
_STAND_IN: Final = "made-up-00000000"


@dataclass(slots=True)
class _Stranger:
    sock: socket.socket
    unsent: bytes
    connected: bool = False


class Flooding:
    """All connections of one process."""

    def __init__(self, kind: Kind, port: int, connections: int, sources: list[str]) -> None:
        self.opened = 0
        self.most = 0
        """Open at once."""
        self.stopped = False
        self._kind = kind
        self._port = port
        self._connections = connections
        self._sources = sources
        self._numbers = count()
        (self._hello,) = client_hellos([_STAND_IN])
        self._poll = select.epoll()
        self._strangers: dict[int, _Stranger] = {}
        self._connected = 0
        self._trickles: deque[tuple[float, int, _Stranger]] = deque()

    def run(self) -> None:
        """Until it is stopped."""
        looked, tokens, tried = time.monotonic(), 0.0, 0
        while not self.stopped:
            now = time.monotonic()
            tokens = min(float(_AT_ONCE), tokens + (now - looked) * _A_SECOND)
            looked = now
            for _ in range(min(int(tokens), self._connections - len(self._strangers))):
                self._come()
                tokens -= 1
                tried += 1
                if tried == self._connections:
                    print("flooding", flush=True)
            self._trickle(now)
            for descriptor, events in self._poll.poll(_WAIT):
                self._happened(descriptor, self._strangers[descriptor], events)

    def _come(self) -> None:
        number = next(self._numbers)
        hello = self._hello.replace(server_name(_STAND_IN), server_name(f"made-up-{number:08}"))
        sock = socket.socket(type=socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        sock.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
        sock.bind((self._sources[number % len(self._sources)], 0))
        sock.connect_ex(("127.0.0.1", self._port))
        self._strangers[sock.fileno()] = _Stranger(sock, b"" if self._kind is Kind.IDLE else hello)
        self._poll.register(sock, select.EPOLLOUT | select.EPOLLIN)

    def _happened(self, descriptor: int, stranger: _Stranger, events: int) -> None:
        try:
            if events & (select.EPOLLERR | select.EPOLLHUP):
                self._leave(descriptor, stranger)
            elif not stranger.connected:
                self._connect(descriptor, stranger)
            elif not stranger.sock.recv(1 << 14) or self._kind is Kind.CHURN:
                self._leave(descriptor, stranger)
        except OSError:
            self._leave(descriptor, stranger)

    def _connect(self, descriptor: int, stranger: _Stranger) -> None:
        self._poll.modify(descriptor, select.EPOLLIN)
        stranger.connected = True
        self.opened += 1
        self._connected += 1
        self.most = max(self.most, self._connected)
        if self._kind is Kind.TRICKLE:
            self._trickles.append((time.monotonic(), descriptor, stranger))
        elif stranger.unsent:
            stranger.sock.send(stranger.unsent)

    def _leave(self, descriptor: int, stranger: _Stranger) -> None:
        self._connected -= stranger.connected
        del self._strangers[descriptor]
        stranger.sock.close()

    def _trickle(self, now: float) -> None:
        while self._trickles and self._trickles[0][0] <= now:
            _, descriptor, stranger = self._trickles.popleft()
            if self._strangers.get(descriptor) is not stranger:
                continue
            try:
                stranger.sock.send(stranger.unsent[:1])
            except OSError:
                self._leave(descriptor, stranger)
            else:
                stranger.unsent = stranger.unsent[1:]
                self._trickles.append((now + _BYTE, descriptor, stranger))


def main() -> None:
    kind, port, connections, *sources = sys.argv[1:]
    os.nice(_NICEST)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    flooding = Flooding(Kind(kind), int(port), int(connections), sources)

    def stop(*_: object) -> None:
        flooding.stopped = True

    signal.signal(signal.SIGTERM, stop)
    flooding.run()
    print(flooding.opened, flooding.most, flush=True)


if __name__ == "__main__":
    main()
