"""A process that listens in place of every user's server: `python -m bench.experiment.ingress.backends COUNT`.

Each user has a port, chosen by the system. The process prints the ports as one JSON list, in the order of the users,
and then reads ClientHellos, checks whom they ask for, answers and closes.

It must cost little beside the load balancer, with which it shares the machine. So it is a bare loop over epoll, and
the kernel hands it a connection when the ClientHello is there (TCP_DEFER_ACCEPT): one wake-up serves a connection.
"""

import contextlib
import json
import resource
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from bench.experiment.ingress.hello import MISROUTED, RIGHT, is_whole, server_name, user
from standby.processes import dies_with_parent

_BACKLOG: Final = 512
_DEFER: Final = 1
"""Seconds until a connection without a ClientHello is handed over."""
_CHUNK: Final = 1 << 14
_EVENTS: Final = 256


@dataclass(frozen=True)
class Backends:
    pid: int
    places: dict[str, int]
    """Port of each user."""


@contextlib.contextmanager
def serving(count: int) -> Iterator[Backends]:
    """So many backends, while the context lasts. To be entered in the main thread while there is no other."""
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, str(count)],
        stdout=subprocess.PIPE,
        preexec_fn=dies_with_parent(),  # noqa: PLW1509  # as above
    )
    with process:
        try:
            ports = _ports(process)
            yield Backends(process.pid, {user(n): port for n, port in enumerate(ports)})
        finally:
            process.terminate()


def _ports(process: subprocess.Popen[bytes]) -> list[int]:
    line = process.stdout.readline() if process.stdout else b""
    if not line:
        raise RuntimeError(
            "the backends did not start; are enough open files allowed (ulimit -Hn)?"
        )
    return msgspec.json.decode(line, type=list[int])


class _Listeners:
    """All backends; `_names` and `_begun` are what is known of a descriptor."""

    def __init__(self, count: int) -> None:
        self._events = select.epoll()
        self._listeners: dict[int, socket.socket] = {}
        self._names: dict[int, bytes] = {}
        """The server name that a listener, or a connection of it, may be asked for."""
        self._begun: dict[int, tuple[socket.socket, bytes]] = {}
        """Connections whose ClientHello has not come to its end."""
        self.ports = [self._listen(user(number)) for number in range(count)]

    def serve(self) -> None:
        while True:
            for descriptor, _ in self._events.poll(maxevents=_EVENTS):
                if listener := self._listeners.get(descriptor):
                    self._accept(listener)
                else:
                    connection, received = self._begun.pop(descriptor)
                    self._read(connection, self._names.pop(descriptor), received)

    def _listen(self, uid: str) -> int:
        listener = socket.socket()
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, _DEFER)
        listener.bind(("127.0.0.1", 0))
        listener.listen(_BACKLOG)
        listener.setblocking(False)  # noqa: FBT003  # its only argument
        self._listeners[listener.fileno()] = listener
        self._names[listener.fileno()] = server_name(uid)
        self._events.register(listener, select.EPOLLIN)
        port: int = listener.getsockname()[1]
        return port

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            connection, _ = listener.accept()
            connection.setblocking(False)  # noqa: FBT003  # its only argument
            self._read(connection, self._names[listener.fileno()], b"")

    def _read(self, connection: socket.socket, name: bytes, received: bytes) -> None:
        """Answer and close, or wait for the rest."""
        with contextlib.suppress(ConnectionError):
            try:
                more = connection.recv(_CHUNK)
            except BlockingIOError:
                self._wait(connection, name, received)
                return
            received += more
            if more and not is_whole(received):
                self._wait(connection, name, received)
                return
            if more:
                connection.send(RIGHT if name in received else MISROUTED)
        connection.close()

    def _wait(self, connection: socket.socket, name: bytes, received: bytes) -> None:
        self._begun[connection.fileno()] = connection, received
        self._names[connection.fileno()] = name
        self._events.register(connection, select.EPOLLIN | select.EPOLLONESHOT)


def open_files() -> int:
    """As many as the system lets this process have from now on."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it ends it
    open_files()
    listeners = _Listeners(int(sys.argv[1]))
    sys.stdout.write(json.dumps(listeners.ports) + "\n")
    sys.stdout.flush()
    with contextlib.suppress(KeyboardInterrupt):
        listeners.serve()


if __name__ == "__main__":
    main()
