"""The far end of the `fork` launcher: a warmed process from which servers are forked, for programs in Python.

    python -m <package>.template        runs `serve(run)`; `run` is what `python -m <package>` does

A program may take part when, after importing all it needs, it has one thread, no secret, no open file or socket of its
own, and no event loop; and when `run` reads its settings, keys and descriptors only then. `serve` checks the thread.

The wrapper sends a request over a socket, with the server's pipes and its listening socket; the server that is forked
for it gets these, an environment and a directory, and nothing else: it leads a session of its own, has a new random
seed, and everything else is closed. It becomes a child of the wrapper (which adopts orphans), not of the template: so
it dies with the wrapper, the wrapper sees its end, and the end of the template touches no server.

Not promised: an address-space layout and a hash seed of its own; all servers of a template share these. What is
exchanged is between a wrapper and a template of the same version.

Rejected: `multiprocessing`'s fork server, whose children are the fork server's and die with it.
"""

import gc
import itertools
import os
import random
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Final, NoReturn

import msgspec
from msgspec import Struct

from standby.ids import BootIdField
from standby.processes import die_with, give_way

SOCKET_VARIABLE: Final = "STANDBY_TEMPLATE_FD"
LIMIT: Final = 1 << 17
"""Bytes of a message; an environment and a few names."""
_PIPES: Final = 3
_LARGEST: Final = _PIPES + 1
"""Descriptors that come with a request."""


class ForkRequest(Struct, frozen=True, kw_only=True):
    """One server to be forked; its pipes come with it, and its listening socket if it gets one."""

    boot_id: BootIdField
    wrapper: int
    """Pid whose child the server becomes."""
    environ: dict[str, str]
    directory: str
    listen_fd: int | None
    """The number under which the server finds its listening socket."""
    give_way: bool
    """Start at a low priority; the wrapper ends that."""


class Forked(Struct, frozen=True, kw_only=True):
    """What came of a request; without a pid, `text` says why not. The first message, without a boot id, says READY."""

    boot_id: BootIdField | None = None
    pid: int | None = None
    text: str = ""


def serve(run: Callable[[], int]) -> int:
    """Fork a server for each request until the wrapper closes the socket; returns the exit status.

    `run` is called in each server and gives its exit status.
    """
    if threading.active_count() != 1:
        print("template: a process with threads cannot be forked", file=sys.stderr)
        return os.EX_CONFIG
    wrapper = socket.socket(fileno=int(os.environ.pop(SOCKET_VARIABLE)))
    gc.collect()
    gc.freeze()  # what is there now is never collected, so its pages stay shared
    with wrapper:
        wrapper.send(msgspec.json.encode(Forked()))
        while True:
            message, descriptors = _receive(wrapper)
            if not message:
                return 0
            _handle(msgspec.json.decode(message, type=ForkRequest), descriptors, wrapper, run)
            for descriptor in descriptors:
                os.close(descriptor)


def _receive(wrapper: socket.socket) -> tuple[bytes, list[int]]:
    message, descriptors, _, _ = socket.recv_fds(wrapper, LIMIT, _LARGEST)
    return message, descriptors


def _handle(
    request: ForkRequest, descriptors: list[int], wrapper: socket.socket, run: Callable[[], int]
) -> None:
    """Fork twice, so that the server is an orphan, which the wrapper adopts."""
    try:
        between = os.fork()
    except OSError as error:
        wrapper.send(msgspec.json.encode(Forked(boot_id=request.boot_id, text=str(error))))
        return
    if between == 0:
        _in_between(request, descriptors, wrapper, run)
    os.waitpid(between, 0)


def _in_between(
    request: ForkRequest, descriptors: list[int], wrapper: socket.socket, run: Callable[[], int]
) -> NoReturn:
    me = os.getpid()
    try:
        server = os.fork()
    except OSError as error:
        wrapper.send(msgspec.json.encode(Forked(boot_id=request.boot_id, text=str(error))))
        os._exit(os.EX_OSERR)
    if server:
        os._exit(os.EX_OK)
    status = os.EX_SOFTWARE
    try:
        status = _become_server(request, descriptors, wrapper, me, run)
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001  # nobody else is left to tell of it
        traceback.print_exc()
    finally:
        os._exit(status)


def _become_server(
    request: ForkRequest,
    descriptors: list[int],
    wrapper: socket.socket,
    parent: int,
    run: Callable[[], int],
) -> int:
    os.setsid()
    if request.give_way:
        give_way()
    while os.getppid() == parent:  # it is exiting
        os.sched_yield()
    die_with(request.wrapper)
    wrapper.send(msgspec.json.encode(Forked(boot_id=request.boot_id, pid=os.getpid())))
    kept = [0, 1, 2]
    for number, descriptor in enumerate(descriptors[:_PIPES]):
        os.dup2(descriptor, number)
    if request.listen_fd is not None:
        os.dup2(descriptors[_PIPES], request.listen_fd)
        kept.append(request.listen_fd)
    wrapper.detach()
    _close_all_but(kept)
    os.environ.clear()
    os.environ.update(request.environ)
    os.chdir(request.directory)
    random.seed()
    return run()


def _close_all_but(kept: list[int]) -> None:
    edges = [*sorted(kept), os.sysconf("SC_OPEN_MAX")]
    for lower, upper in itertools.pairwise(edges):
        os.closerange(lower + 1, upper)
