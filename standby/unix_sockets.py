"""Unix sockets that only their owner may open, however long the path to them is.

A socket's address has 107 bytes at most. So the directory is opened, and the socket is named by way of its descriptor.
"""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from standby.backlog import BACKLOG

_PRIVATE: Final = 0o600


@contextlib.contextmanager
def named(path: Path) -> Iterator[str]:
    """A short name for `path`, to bind or to connect to, good while the context lasts.

    Raises:
        OSError: there is no such directory, or it may not be opened.
    """
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


def listen(path: Path) -> socket.socket:
    """A socket of mode 0600 that listens at `path`.

    It takes the place of another one there at once: a client that connects finds the old one or the new one.

    Raises:
        OSError: it cannot be made there.
    """
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(sock.fileno(), _PRIVATE)  # what is bound later has this mode from the beginning
        with named(fresh) as name:
            sock.bind(name)
        sock.listen(BACKLOG)
        fresh.replace(path)
    except OSError:
        sock.close()
        raise
    return sock
