"""A smart-grid server that turns against everybody as soon as its user has logged in: a program, run in its place.

    HOSTILE_AIMS='{"database": …, "own": …, "outside": …, "port": …, "victim": …}' python3 -c "$(cat hostile.py)"

It is the server's own code, with one method replaced. What came of each attempt is a line on stdout; the last one is a
program in its place, so it is not the server any more if that was possible.

What it leaves on the machine where it may, `remains` lists: objects of System V, a queue and a file with the name of
its aim `left`.
"""

import asyncio
import ctypes
import errno
import fcntl
import json
import mmap
import os
import resource
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
_X86_64 = os.uname().machine == "x86_64"
_PTRACE, _READV, _ADD_KEY = (101, 310, 248) if _X86_64 else (117, 270, 217)
_FALLOCATE = 285 if _X86_64 else 47
_SET_PDEATHSIG, _SET_DUMPABLE = 1, 4
_ANY, _CREATE = 0, 0o1666
"""A key and flags of System V's objects: a new one, which all may read and write."""
_PROCESS_KEYRING = -2
_WRITTEN, _EXECUTABLE = mmap.PROT_READ | mmap.PROT_WRITE, mmap.PROT_READ | mmap.PROT_EXEC
_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_login = Service.login
_kept: list[ctypes.Array[ctypes.c_char]] = []


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
    database, outside, own = (Path(aims[name]) for name in ("database", "outside", "own"))
    attempts: dict[str, Callable[[], object]] = {
        "reads another user's database": lambda: _open(database, os.O_RDONLY),
        "writes another user's database": lambda: _open(database, os.O_RDWR),
        "lists the volumes": lambda: os.listdir(database.parent.parent),  # noqa: PTH208  # one call
        "writes beside its volume": lambda: _open(outside, os.O_WRONLY | os.O_CREAT),
        "makes files in its volume": own.with_name(aims["left"]).touch,
        "makes directories in its volume": lambda: own.with_name("directory").mkdir(exist_ok=True),
        "renames its database": lambda: own.rename(own),
        "takes disk that no size shows": lambda: _allocate(own),
        "takes memory that is not counted": lambda: os.close(os.memfd_create("memory")),
        "shares memory": lambda: mmap.mmap(-1, mmap.PAGESIZE).close(),
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
    attempts |= _on_others(aims["victim"], database) | _that_stays(aims["left"])
    return {name: outcome(attempt) for name, attempt in attempts.items()}


def _on_others(victim: int, database: Path) -> dict[str, Callable[[], object]]:
    """What harms a process of the same account, such as the wrapper; the last ones by what is counted for it."""
    files = resource.RLIMIT_NOFILE
    return {
        "takes another process's files": lambda: resource.prlimit(victim, files, (20, 20)),
        "slows another process": lambda: os.setpriority(os.PRIO_PROCESS, victim, 1),
        "moves another process": lambda: os.sched_setaffinity(victim, os.sched_getaffinity(0)),
        "signals another process": lambda: os.kill(victim, 0),
        "has signals sent to another process": lambda: _own(victim),
        "closes a file to others": lambda: database.chmod(0o600),
        "locks a file of others": _lock,
        "passes descriptors": _pass,
        "watches files": lambda: os.close(_checked(_libc.inotify_init1(0))),
    }


def _that_stays(name: str) -> dict[str, Callable[[], object]]:
    """What is there, for others too, when it has ended."""
    return {
        "makes shared memory": lambda: _checked(_libc.shmget(_ANY, mmap.PAGESIZE, _CREATE)),
        "makes a message queue": lambda: _checked(_libc.msgget(_ANY, _CREATE)),
        "makes semaphores": lambda: _checked(_libc.semget(_ANY, 1, _CREATE)),
        "makes a queue with a name": lambda: _queue(f"/{name}".encode()),
        "makes shared memory with a name": lambda: _open(
            Path("/dev/shm", name),  # noqa: S108  # the attack
            os.O_RDWR | os.O_CREAT,
        ),
        "keeps a key": lambda: _keep_key(name.encode()),
        "takes a name": lambda: _bind(f"\0{name}-{os.getpid()}"),
        "outlives its parent": lambda: _checked(_libc.prctl(_SET_PDEATHSIG, 0, 0, 0, 0)),
    }


def outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "done"


def _open(path: Path, flags: int) -> None:
    os.close(os.open(path, flags, 0o600))


def _allocate(file: Path) -> None:
    with file.open("r+b") as opened:
        _call(_FALLOCATE, opened.fileno(), 1, 0, 1 << 20)


def _connect(port: int) -> None:
    with socket.socket() as sock:
        sock.connect(("127.0.0.1", port))


def _send(port: int) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.sendto(b"what it knows", ("127.0.0.1", port))


def _own(pid: int) -> None:
    one, other = socket.socketpair()
    with one, other:
        fcntl.fcntl(one, fcntl.F_SETOWN, pid)


def _lock() -> None:
    """One that it may read."""
    with open(json.__file__, "rb") as file:  # noqa: PTH123  # as a program
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)


def _pass() -> None:
    one, other = socket.socketpair()
    with one, other:
        socket.send_fds(one, [b"."], [0])


def _bind(address: str) -> None:
    one, other = socket.socketpair()
    with one, other:
        one.bind(address)


def _queue(name: bytes) -> None:
    """The first thread makes it; the second finds it."""
    os.close(_checked(_libc.mq_open(name, os.O_RDWR | os.O_CREAT, 0o666, None)))


def _keep_key(name: bytes) -> None:
    _call(_ADD_KEY, _address(b"user"), _address(name), _address(b"x"), 1, _PROCESS_KEYRING)


def _address(text: bytes) -> int:
    """Of a text that is never freed; the process ends soon."""
    _kept.append(ctypes.create_string_buffer(text))
    return ctypes.addressof(_kept[-1])


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


def _checked(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def _say(thread: str, results: dict[str, str]) -> None:
    os.write(1, f"{TRIED}{json.dumps({thread: results})}\n".encode())


if __name__ == "__main__":
    Service.login = login  # type: ignore[assignment]  # the attack
    rights = Rights(library_places())
    sys.exit(programs.run(PART, "hostile", Settings, PREFIX, main.run, rights.give_up))
