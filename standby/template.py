"""The far end of the `fork` launcher: a warmed process from which servers are forked, for programs in Python.

    python -m <package>.template        runs `serve(run)`; `run` is what `python -m <package>` does

A program may take part when it has one thread, no secret, no open file or socket of its own, and no event loop when it
calls `serve`; and when `run` reads what is each server's own (keys, descriptors, most settings) only then. Before that
it may do what it likes: whatever it imports, sets up and has used once is there in every server. `serve` checks the
threads and the files. Libraries may keep what they make anew after a fork (libuv's pipe), and a pipe tells nobody
anything; libraries' random numbers start anew in each child (Python's, OpenSSL's and SQLite's do).

There is always one server ahead, forked but nobody's yet, so that no start waits for a fork. The wrapper sends a
request over a socket, with the server's pipes and sockets; the server that waits takes it, gets a directory, and
as an argument what its environment would have besides the template's. It leads a session of its own, and
is a child of the wrapper (which adopts orphans), not of the template: so it dies with the wrapper, the wrapper sees its
end, and the end of the template touches no server but the one ahead.

Not promised: an address-space layout and a hash seed of its own; all servers of a template share these. What is
exchanged is between a wrapper and a template of the same version.

Rejected: `multiprocessing`'s fork server, whose children are the fork server's and die with it; `clone` with
CLONE_PARENT, which would save the second fork and skip what libraries do at one.
"""

import contextlib
import fcntl
import gc
import os
import socket
import stat
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, NoReturn

import msgspec
from msgspec import Meta, Struct

from standby import decode
from standby.hardening.process import not_dumpable
from standby.ids import BootIdField, new_boot_id
from standby.processes import Descriptor, Pid, die_with
from standby.text import printable, sentence

SOCKET_VARIABLE: Final = "STANDBY_TEMPLATE_FD"
LIMIT: Final = 1 << 17
"""Bytes of a message; an environment and a few names."""
_STDERR: Final = 2
_PIPES: Final = 3
_LARGEST: Final = _PIPES + 2
"""Descriptors that come with a request."""
_MORE: Final = b"+"
_TEXT: Final = 300
_Variable = Annotated[str, Meta(max_length=LIMIT)]


class ForkRequest(Struct, frozen=True, kw_only=True):
    """One server is wanted; its pipes come with it, then those of the two sockets below that it gets."""

    boot_id: BootIdField
    own: Annotated[dict[_Variable, _Variable], Meta(max_length=1000)]
    """What its environment would have besides the template's."""
    directory: Annotated[str, Meta(max_length=4096)]
    listen_fd: Descriptor | None
    """The number under which the server finds its listening socket."""
    attest_fd: Descriptor | None = None
    """The number under which the server finds its end of the channel to its wrapper for attestation."""


class Forked(Struct, frozen=True, kw_only=True):
    """Without a boot id: `pid` waits for the next request. With one: `pid` has it, or `text` says why nobody does."""

    boot_id: BootIdField | None = None
    pid: Pid | None = None
    text: Annotated[str, sentence(_TEXT)] = ""


Run = Callable[[Mapping[str, str]], int]
"""What a server does with its own variables; gives its exit status."""


def serve(run: Run) -> int:
    """Fork servers until the wrapper closes the socket; returns the exit status."""
    if threading.active_count() != 1:
        print("template: a process with threads cannot be forked", file=sys.stderr)
        return os.EX_CONFIG
    not_dumpable()  # who could trace it could put code into every server
    wrapper = socket.socket(fileno=int(os.environ.pop(SOCKET_VARIABLE)))
    if left := _left_open(wrapper.fileno()):
        print(
            f"template: these files are open and would be every server's: {left}", file=sys.stderr
        )
        return os.EX_CONFIG
    _rehearse()
    gc.collect()
    gc.freeze()  # what is there now is never collected, so its pages stay shared
    with wrapper:
        while _fork_ahead(_Fork(wrapper, os.getppid(), run)):
            pass
    return 0


def _rehearse() -> None:
    """Take a request, as each server will: what that needs for the first time is made here, once."""
    request = ForkRequest(boot_id=new_boot_id(), own={}, directory="", listen_fd=None)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        socket.send_fds(ours, [msgspec.json.encode(request)], [theirs.fileno()])
        message, descriptors = _receive(theirs)
        taken = decode.json(message, ForkRequest)
        theirs.send(msgspec.json.encode(Forked(boot_id=taken.boot_id, pid=os.getpid())))
    for descriptor in descriptors:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class _Fork:
    """What a server that is being forked works with."""

    wrapper: socket.socket
    wrapper_pid: int
    run: Run


def _fork_ahead(fork: _Fork) -> bool:
    """Fork a server that waits for a request, and return once it has one; False when there will be none.

    Forked twice, it is an orphan, which the wrapper adopts.
    """
    taken, tell = os.pipe()
    try:
        between = os.fork()
    except OSError as error:
        os.close(taken)
        os.close(tell)
        return _refuse(fork.wrapper, str(error))
    if between == 0:
        os.close(taken)
        _in_between(fork, tell)
    os.close(tell)
    with os.fdopen(taken, "rb", buffering=0) as pipe:
        _, status = os.waitpid(between, 0)
        if failed := os.waitstatus_to_exitcode(status):
            return _refuse(fork.wrapper, f"the second fork failed: {os.strerror(failed)}")
        return pipe.read(1) == _MORE or not _closed(fork.wrapper)


def _refuse(wrapper: socket.socket, text: str) -> bool:
    """Answer the next request, for which there is no server; False when there is none."""
    message, descriptors = _receive(wrapper)
    for descriptor in descriptors:
        os.close(descriptor)
    if not message:
        return False
    request = decode.json(message, ForkRequest)
    wrapper.send(msgspec.json.encode(Forked(boot_id=request.boot_id, text=printable(text, _TEXT))))
    return True


def _closed(wrapper: socket.socket) -> bool:
    """Whether the wrapper has closed its end; else the waiting server was ended by somebody."""
    try:
        return not wrapper.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False


def _receive(wrapper: socket.socket) -> tuple[bytes, list[int]]:
    message, descriptors, _, _ = socket.recv_fds(wrapper, LIMIT, _LARGEST)
    return message, descriptors


def _in_between(fork: _Fork, tell: int) -> NoReturn:
    me = os.getpid()
    try:
        server = os.fork()
    except OSError as error:
        os._exit(error.errno or os.EX_OSERR)
    if server:
        os._exit(os.EX_OK)
    status = os.EX_SOFTWARE
    try:
        status = _be_server(fork, tell, me)
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001  # nobody else is left to tell of it
        traceback.print_exc()
    finally:
        os._exit(status)


def _be_server(fork: _Fork, tell: int, parent: int) -> int:
    """Wait for the request, which is nobody else's from then on, and for its end."""
    while os.getppid() == parent:  # it is exiting
        os.sched_yield()
    die_with(fork.wrapper_pid)
    with fork.wrapper as wrapper:
        wrapper.send(msgspec.json.encode(Forked(pid=os.getpid())))
        os.setsid()  # the wrapper knows it by its pid now, and before that by the template's group
        message, descriptors = _receive(wrapper)
        if not message:
            return os.EX_OK
        request = decode.json(message, ForkRequest)
        wrapper.send(msgspec.json.encode(Forked(boot_id=request.boot_id, pid=os.getpid())))
    with contextlib.suppress(BrokenPipeError):  # the template has ended; this server has not
        os.write(tell, _MORE)
    os.close(tell)
    _put(descriptors, [each for each in (request.listen_fd, request.attest_fd) if each is not None])
    os.chdir(request.directory)
    return fork.run(request.own)


def _put(descriptors: list[int], sockets: list[int]) -> None:
    """The pipes to 0, 1 and 2, the sockets to their numbers; nothing else of the request stays open."""
    numbers = [*range(_PIPES), *sockets]
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
