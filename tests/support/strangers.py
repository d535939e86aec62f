"""Connections of strangers, from addresses other than that of a test's users (127.0.0.1)."""

import contextlib
import socket
from collections.abc import Iterator

from tests.support.waiting import eventually

Address = tuple[str, int]


class Strangers:
    """They come, send what they are told to, and read nothing."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._sockets: list[socket.socket] = []

    def come(self, count: int, source: str = "127.0.3.1", data: bytes = b"") -> None:
        for _ in range(count):
            with contextlib.suppress(ConnectionError):  # it was refused at once
                sock = socket.create_connection(self._address, 10, source_address=(source, 0))
                self._sockets.append(sock)
                sock.settimeout(0)
                sock.send(data)

    @property
    def open(self) -> int:
        """Of their connections, those that were not closed and got no answer."""
        return sum(map(_is_open, self._sockets))

    async def until_open(self, count: int) -> None:
        await eventually(lambda: self.open == count, f"{count} of {len(self._sockets)} are left")

    def leave(self) -> None:
        for sock in self._sockets:
            sock.close()
        self._sockets.clear()


def _is_open(sock: socket.socket) -> bool:
    try:
        sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except ConnectionError:
        pass
    return False


@contextlib.contextmanager
def strangers(address: Address) -> Iterator[Strangers]:
    crowd = Strangers(address)
    try:
        yield crowd
    finally:
        crowd.leave()
