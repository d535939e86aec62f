"""A smart-grid server that turns against everybody as soon as its user has logged in: a program, run in its place.

    HOSTILE_AIMS='{"database": …, "outside": …, "port": …, "victim": …}' python3 -c "$(cat hostile.py)"

It is the server's own code, with one method replaced. What came of each attempt is a line on stdout; the last one is a
program in its place, so it is not the server any more if that was possible.
"""

import asyncio
import ctypes
import errno
import json
import mmap
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from smartgrid_server import main
from smartgrid_server.database import Database
from smartgrid_server.hardening import Rights
from smartgrid_server.service import Service
from smartgrid_server.settings import PART, PREFIX, Settings
from standby import service as programs
from standby.hardening.libraries import library_places

AIMS = "HOSTILE_AIMS"
TRIED = "TRIED "
EXECUTES = "becomes a program"
_ATTACH, _DETACH = 16, 17
_PTRACE, _READV = (101, 310) if os.uname().machine == "x86_64" else (117, 270)
_SET_DUMPABLE = 4
_WRITTEN, _EXECUTABLE = mmap.PROT_READ | mmap.PROT_WRITE, mmap.PROT_READ | mmap.PROT_EXEC
_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_login = Service.login


async def login(service: Service, *given: Any) -> Any:
    """As it should be, and then everything that it should not do, in both threads that the server has."""
    reply = await _login(service, *given)
    await asyncio.get_running_loop().create_task(_turn(service))
    return reply


async def _turn(service: Service) -> None:
    aims = json.loads(os.environ[AIMS])
    _say("loop", tried(aims))

    def in_its_thread(_: Database) -> None:
        _say("database", tried(aims))

    await service._worker.submit(in_its_thread)
    _say("end", {EXECUTES: outcome(_become_a_program)})


def tried(aims: dict[str, Any]) -> dict[str, str]:
    """What came of each attempt: `done`, or the name of the error."""
    database, outside = Path(aims["database"]), Path(aims["outside"])
    attempts: dict[str, Callable[[], object]] = {
        "reads another user's database": lambda: _open(database, os.O_RDONLY),
        "writes another user's database": lambda: _open(database, os.O_RDWR),
        "lists the volumes": lambda: os.listdir(database.parent.parent),  # noqa: PTH208  # one call
        "writes beside its volume": lambda: _open(outside, os.O_WRONLY | os.O_CREAT),
        "connects out": lambda: _connect(aims["port"]),
        "sends a datagram": lambda: _send(aims["port"]),
        "listens": lambda: socket.create_server(("127.0.0.1", 0)).close(),
        "forks": _fork,
        "starts a program": _spawn,
        "traces another process": lambda: _trace(aims["victim"]),
        "copies another process's memory": lambda: _copy(aims["victim"]),
        "opens another process's memory": lambda: _open(
            Path(f"/proc/{aims['victim']}/mem"), os.O_RDONLY
        ),
        "opens itself to others": lambda: _checked(_libc.prctl(_SET_DUMPABLE, 1, 0, 0, 0)),
        "executes what it has written": _execute_written,
    }
    return {name: outcome(attempt) for name, attempt in attempts.items()}


def outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "done"


def _open(path: Path, flags: int) -> None:
    os.close(os.open(path, flags, 0o600))


def _connect(port: int) -> None:
    with socket.socket() as sock:
        sock.connect(("127.0.0.1", port))


def _send(port: int) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.sendto(b"what it knows", ("127.0.0.1", port))


def _fork() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _spawn() -> None:
    os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)


def _trace(pid: int) -> None:
    _call(_PTRACE, _ATTACH, pid, 0, 0)
    os.waitpid(pid, 0)
    _call(_PTRACE, _DETACH, pid, 0, 0)


def _copy(pid: int) -> None:
    """From an address where nothing is: whether one may is decided first."""
    buffer = ctypes.create_string_buffer(8)
    here = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), 8)
    there = (ctypes.c_size_t * 2)(1, 8)
    try:
        _call(_READV, pid, ctypes.addressof(here), 1, ctypes.addressof(there), 1, 0)
    except OSError as error:
        if error.errno != errno.EFAULT:
            raise


def _execute_written() -> None:
    private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    page = _libc.mmap(None, mmap.PAGESIZE, _WRITTEN, private, -1, ctypes.c_long(0))
    _checked(_libc.mprotect(page, mmap.PAGESIZE, _EXECUTABLE))


def _become_a_program() -> None:
    line = TRIED + json.dumps({"end": {EXECUTES: "done"}})
    os.execv("/bin/echo", ["echo", line])  # noqa: S606  # the attack


def _call(number: int, *arguments: int) -> None:
    _checked(_libc.syscall(*map(ctypes.c_long, (number, *arguments))))


def _checked(result: int) -> None:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _say(thread: str, results: dict[str, str]) -> None:
    os.write(1, f"{TRIED}{json.dumps({thread: results})}\n".encode())


if __name__ == "__main__":
    Service.login = login  # type: ignore[assignment]  # the attack
    rights = Rights(library_places())
    sys.exit(programs.run(PART, "hostile", Settings, PREFIX, main.run, rights.give_up))
