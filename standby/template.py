"""The far end of the `fork` launcher: a warmed process from which servers are forked, for programs in Python.

    python -m <package>.template        runs `serve(run)`; `run` is what `python -m <package>` does

A program may take part when it has one thread, no secret, no open file or socket of its own, and no event loop when it
calls `serve`; and when `run` reads what is each server's own (keys, descriptors, most settings) only then. Before that
it may do what it likes: whatever it imports, sets up and has used once is there in every server. `serve` checks the
threads and the files. Libraries may keep what they make anew after a fork (libuv's pipe), and a pipe tells nobody
anything; libraries' random numbers start anew in each child (Python's, OpenSSL's and SQLite's do).

The wrapper sends a request over a socket, with the server's pipes and its listening socket. The server that is forked
for it gets these, a directory, and as an argument what its environment would have besides the template's, and leads a
session of its own. It becomes a child of the wrapper (which adopts orphans), not of the template: so it dies with the
wrapper, the wrapper sees its end, and the end of the template touches no server.

Not promised: an address-space layout and a hash seed of its own; all servers of a template share these. What is
exchanged is between a wrapper and a template of the same version.

Rejected: `multiprocessing`'s fork server, whose children are the fork server's and die with it.
"""

import fcntl
import gc
import os
import socket
import stat
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NoReturn

import msgspec
from msgspec import Struct

from standby.ids import BootIdField
from standby.processes import die_with

SOCKET_VARIABLE: Final = "STANDBY_TEMPLATE_FD"
LIMIT: Final = 1 << 17
"""Bytes of a message; an environment and a few names."""
_STDERR: Final = 2
_PIPES: Final = 3
_LARGEST: Final = _PIPES + 1
"""Descriptors that come with a request."""


class ForkRequest(Struct, frozen=True, kw_only=True):
    """One server to be forked; its pipes come with it, and its listening socket if it gets one."""

    boot_id: BootIdField
    wrapper: int
    """Pid whose child the server becomes."""
    own: dict[str, str]
    """What its environment would have besides the template's."""
    directory: str
    listen_fd: int | None
    """The number under which the server finds its listening socket."""


class Forked(Struct, frozen=True, kw_only=True):
    """What came of a request; without a pid, `text` says why not. The first message, without a boot id, says READY."""

    boot_id: BootIdField | None = None
    pid: int | None = None
    text: str = ""


Run = Callable[[Mapping[str, str]], int]
"""What a server does with its own variables; gives its exit status."""


def serve(run: Run) -> int:
    """Fork a server for each request until the wrapper closes the socket; returns the exit status."""
    if threading.active_count() != 1:
        print("template: a process with threads cannot be forked", file=sys.stderr)
        return os.EX_CONFIG
    wrapper = socket.socket(fileno=int(os.environ.pop(SOCKET_VARIABLE)))
    if left := _left_open(wrapper.fileno()):
        print(
            f"template: these files are open and would be every server's: {left}", file=sys.stderr
        )
        return os.EX_CONFIG
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


def _handle(request: ForkRequest, descriptors: list[int], wrapper: socket.socket, run: Run) -> None:
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
    request: ForkRequest, descriptors: list[int], wrapper: socket.socket, run: Run
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
    run: Run,
) -> int:
    os.setsid()
    while os.getppid() == parent:  # it is exiting
        os.sched_yield()
    die_with(request.wrapper)
    wrapper.send(msgspec.json.encode(Forked(boot_id=request.boot_id, pid=os.getpid())))
    wrapper.close()
    _put(descriptors, request.listen_fd)
    os.chdir(request.directory)
    return run(request.own)


def _put(descriptors: list[int], listen_fd: int | None) -> None:
    """The pipes to 0, 1 and 2, the listening socket to its number; nothing else of the request stays open."""
    numbers = [*range(_PIPES)] if listen_fd is None else [*range(_PIPES), listen_fd]
    out_of_the_way = [
        fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, max(numbers) + 1) for each in descriptors
    ]
    for descriptor in descriptors:
        os.close(descriptor)
    for descriptor, number in zip(out_of_the_way, numbers, strict=True):
        os.dup2(descriptor, number)
        os.close(descriptor)


def _left_open(socket_fd: int) -> list[str]:
    """What is open besides stdin, stdout, stderr and the wrapper's socket, and is no pipe."""
    left = []
    for each in Path("/proc/self/fd").iterdir():
        if int(each.name) > _STDERR and int(each.name) != socket_fd and each.exists():
            mode = os.fstat(int(each.name)).st_mode
            if stat.S_IFMT(mode) not in (0, stat.S_IFIFO):
                left.append(f"{each.name} -> {each.readlink()}")
    return left
