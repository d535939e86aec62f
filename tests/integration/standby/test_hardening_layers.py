"""Each layer by itself: what a process can do without it, and what the kernel answers with it."""

import ctypes
import errno
import functools
import mmap
import os
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from standby.hardening import Layer, Outcome, Places, Plan, harden, kernel
from standby.processes import reserve_port
from tests.integration.standby import NUMBERS, OTHER_UIDS, become, directory_of, in_child

_NEEDS_NO_NEW_PRIVS: Final = {Layer.LANDLOCK, Layer.SECCOMP}
_FAST_OPEN: Final = 0x2000_0000
_HOST: Final = "127.0.0.1"
_DONE: Final = "done"
_PROCESS_KEYRING: Final = -2
_KEEP_SIZE: Final = 1
_GROWSDOWN: Final = 0x100
Attempt = Callable[[], object]


class Surroundings:
    """What a process finds around it: places of its own and others, a neighbour, somebody who listens."""

    def __init__(self, home: Path) -> None:
        self.own, self.readable, self.other = home / "own", home / "readable", home / "other"
        self.fixed = home / "fixed"
        for place in (self.own, self.readable, self.other, self.fixed):
            place.mkdir()
            (place / "file").write_text("here")
        (self.fixed / "second").touch()
        self.reserved = reserve_port(), reserve_port()
        self.port, self.other_port = (sock.getsockname()[1] for sock in self.reserved)
        self.listener = socket.create_server((_HOST, 0))
        self.abstract = socket.socket(socket.AF_UNIX)
        self.abstract.bind(f"\0hardening-{os.getpid()}")
        self.abstract.listen()
        self.kept = bytearray(b"mine")
        self.neighbour = self._neighbour()

    @property
    def plan(self) -> Plan:
        places = Places(read_only=(self.readable,), read_write=(self.own,), changed=(self.fixed,))
        return Plan(places=places, ports=(self.port,))

    def _neighbour(self) -> int:
        """A process of the same uid that lives until this one ends."""
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(write)
            os.read(read, 1)
            os._exit(0)
        os.close(read)
        return pid


def attempts(around: Surroundings) -> dict[str, Attempt]:
    return _processes(around) | _calls() | _files(around) | _connections(around) | _memory()


def _processes(around: Surroundings) -> dict[str, Attempt]:
    address = ctypes.addressof(ctypes.c_char.from_buffer(around.kept))
    return {
        "forks": _fork,
        "starts a program": lambda: subprocess.run(["/bin/true"], check=True),
        "starts a thread": _thread,
        "reads a neighbour's memory": lambda: _read_of(around.neighbour, address),
        "traces a neighbour": lambda: _trace(around.neighbour),
        "gets hold of a neighbour": lambda: os.close(os.pidfd_open(around.neighbour)),
        "signals a neighbour": lambda: os.kill(around.neighbour, 0),
    }


def _calls() -> dict[str, Attempt]:
    return {
        "leaves its namespaces": lambda: _call("unshare", 0),
        "uses io_uring": lambda: _call("io_uring_setup", 1, 0),
        "uses the kernel's keys": lambda: _call("keyctl", 0, _PROCESS_KEYRING, 1),
        "lets others read it again": lambda: kernel.prctl(4, 1),
    }


def _files(around: Surroundings) -> dict[str, Attempt]:
    def replace() -> None:
        (around.own / "draft").write_text("new")
        (around.own / "draft").rename(around.own / "file")
        (around.own / "file").unlink()

    descriptor = os.open(around.other, os.O_RDONLY)
    return {
        "reads the users of the machine": lambda: Path("/etc/passwd").read_bytes(),
        "lists another directory": lambda: list(around.other.iterdir()),
        "opens by a directory it has open": lambda: os.open("file", 0, dir_fd=descriptor),
        "writes another file": lambda: (around.other / "file").write_text("changed"),
        "makes a file elsewhere": (around.other / "new").touch,
        "removes another file": (around.other / "file").unlink,
        "reads what it may read": (around.readable / "file").read_text,
        "writes what it may only read": lambda: (around.readable / "file").write_text("changed"),
        "replaces a file of its own": replace,
        "changes a file that is there": lambda: (around.fixed / "file").write_text("changed"),
        "makes a file beside it": (around.fixed / "new").touch,
        "makes a directory beside it": (around.fixed / "directory").mkdir,
        "renames it": lambda: (around.fixed / "file").rename(around.fixed / "renamed"),
        "takes room beyond a file's end": lambda: _allocate(around.fixed / "second"),
        "removes it": (around.fixed / "second").unlink,
        "makes a link": lambda: (around.own / "link").symlink_to("/etc/passwd"),
        "reads what has no name": _unnamed,
    }


def _connections(around: Surroundings) -> dict[str, Attempt]:
    target = around.listener.getsockname()
    return {
        "listens on its port": lambda: _listen(around.port),
        "listens on another port": lambda: _listen(around.other_port),
        "connects": lambda: _with(socket.SOCK_STREAM, 0, lambda s: s.connect(target)),
        "connects by sending": lambda: _with(
            socket.SOCK_STREAM, 0, lambda s: _send_first(s, target)
        ),
        "connects by several ways": lambda: _with(
            socket.SOCK_STREAM, 262, lambda s: s.connect(target)
        ),
        "sends a datagram": lambda: _with(
            socket.SOCK_DGRAM, 0, lambda s: s.sendto(b"secret", target)
        ),
        "connects to a neighbour": lambda: _to_abstract(around.abstract.getsockname()),
    }


def _memory() -> dict[str, Attempt]:
    def both() -> None:
        mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()

    def written() -> None:
        with mmap.mmap(-1, mmap.PAGESIZE) as page:
            address = ctypes.addressof(ctypes.c_char.from_buffer(page))
            executable = mmap.PROT_READ | mmap.PROT_EXEC
            kernel.syscall(NUMBERS["mprotect"], address, mmap.PAGESIZE, executable)

    return {
        "maps memory to write and execute": both,
        "executes memory that was written": written,
        "has memory without a name": lambda: os.close(os.memfd_create("memory")),
        "shares memory without a file": lambda: mmap.mmap(-1, mmap.PAGESIZE).close(),
        "has memory that grows by itself": _growing,
        "is called back from C": _callback,
    }


def _call(name: str, *arguments: int) -> None:
    kernel.syscall(NUMBERS[name], *arguments)


def _fork() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _thread() -> None:
    ran = threading.Event()
    thread = threading.Thread(target=ran.set)
    thread.start()
    thread.join()
    assert ran.is_set()


def _read_of(pid: int, address: int) -> None:
    buffer = ctypes.create_string_buffer(4)
    here = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), 4)
    there = (ctypes.c_size_t * 2)(address, 4)
    _call("process_vm_readv", pid, ctypes.addressof(here), 1, ctypes.addressof(there), 1)
    assert buffer.raw == b"mine"


def _trace(pid: int) -> None:
    _call("ptrace", 16, pid)  # PTRACE_ATTACH
    os.waitpid(pid, 0)
    _call("ptrace", 17, pid)  # PTRACE_DETACH


def _unnamed() -> None:
    """As certificates are loaded from memory."""
    reading, writing = os.pipe()
    os.write(writing, b"pem")
    os.close(writing)
    assert Path(f"/proc/self/fd/{reading}").read_bytes() == b"pem"


def _allocate(file: Path) -> None:
    """Blocks that the file's size does not show."""
    with file.open("r+b") as opened:
        _call("fallocate", opened.fileno(), _KEEP_SIZE, 0, 1 << 20)


def _growing() -> None:
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _GROWSDOWN
    mmap.mmap(-1, mmap.PAGESIZE, flags=flags).close()


def _listen(port: int) -> None:
    """As a server whose wrapper keeps the port."""
    socket.create_server((_HOST, port), reuse_port=True).close()


def _with(kind: int, protocol: int, do: Callable[[socket.socket], object]) -> None:
    with socket.socket(socket.AF_INET, kind, protocol) as sock:
        do(sock)


def _send_first(sock: socket.socket, target: tuple[str, int]) -> None:
    sock.sendto(b"secret", _FAST_OPEN, target)


def _to_abstract(address: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(address)


def _callback() -> None:
    called: list[int] = []
    ctypes.CFUNCTYPE(None, ctypes.c_int)(called.append)(7)
    assert called == [7]


def try_everything(home: str, layers: list[str], uid: int | None) -> dict[str, Any]:
    """In the child: what becomes of each layer, and then of each attempt."""
    become(uid)
    around = Surroundings(Path(home))
    tries = attempts(around)
    plan = around.plan
    report = harden(
        Plan(places=plan.places, ports=plan.ports, layers=frozenset(map(Layer, layers)))
    )
    return {
        "layers": {each.layer: [each.outcome, each.text] for each in report.layers},
        "became": {name: _outcome(attempt) for name, attempt in tries.items()},
    }


def _outcome(attempt: Attempt) -> str:
    try:
        attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return _DONE


@functools.cache
def became(layer: Layer | None, uid: int | None) -> dict[str, str]:
    """What became of the attempts with one layer, or none."""
    layers = set() if layer is None else {layer}
    if layers & _NEEDS_NO_NEW_PRIVS:
        layers.add(Layer.NO_NEW_PRIVS)
    with directory_of(uid) as home:
        told = in_child(try_everything, home=str(home), layers=sorted(layers), uid=uid)
    for name, (outcome, text) in told["layers"].items():
        if outcome == Outcome.UNSUPPORTED:
            pytest.skip(f"this kernel lacks {name}: {text}")
        if outcome == Outcome.PARTLY:
            pytest.skip(f"this kernel's {name} is not whole: {text}")
        assert outcome == Outcome.APPLIED, text
    answers: dict[str, str] = told["became"]
    return answers


@pytest.mark.parametrize("uid", OTHER_UIDS)
@pytest.mark.parametrize(
    ("layer", "attempt", "answer"),
    [
        (Layer.SECCOMP, "forks", "EPERM"),
        (Layer.SECCOMP, "starts a program", "EPERM"),
        (Layer.SECCOMP, "reads a neighbour's memory", "EPERM"),
        (Layer.SECCOMP, "traces a neighbour", "EPERM"),
        (Layer.SECCOMP, "gets hold of a neighbour", "EPERM"),
        (Layer.SECCOMP, "leaves its namespaces", "EPERM"),
        (Layer.SECCOMP, "uses the kernel's keys", "EPERM"),
        (Layer.SECCOMP, "lets others read it again", "EPERM"),
        (Layer.SECCOMP, "connects", "EPERM"),
        (Layer.SECCOMP, "connects by sending", "EPERM"),
        (Layer.SECCOMP, "connects by several ways", "EPERM"),
        (Layer.SECCOMP, "sends a datagram", "EPERM"),
        (Layer.SECCOMP, "connects to a neighbour", "EPERM"),
        (Layer.LANDLOCK, "starts a program", "EACCES"),
        (Layer.LANDLOCK, "traces a neighbour", "EPERM"),
        (Layer.LANDLOCK, "signals a neighbour", "EPERM"),
        (Layer.LANDLOCK, "reads the users of the machine", "EACCES"),
        (Layer.LANDLOCK, "lists another directory", "EACCES"),
        (Layer.LANDLOCK, "opens by a directory it has open", "EACCES"),
        (Layer.LANDLOCK, "writes another file", "EACCES"),
        (Layer.LANDLOCK, "makes a file elsewhere", "EACCES"),
        (Layer.LANDLOCK, "removes another file", "EACCES"),
        (Layer.LANDLOCK, "writes what it may only read", "EACCES"),
        (Layer.LANDLOCK, "makes a link", "EACCES"),
        (Layer.LANDLOCK, "makes a file beside it", "EACCES"),
        (Layer.LANDLOCK, "makes a directory beside it", "EACCES"),
        (Layer.LANDLOCK, "renames it", "EACCES"),
        (Layer.LANDLOCK, "removes it", "EACCES"),
        (Layer.SECCOMP, "takes room beyond a file's end", "EPERM"),
        (Layer.SECCOMP, "has memory without a name", "EPERM"),
        (Layer.SECCOMP, "shares memory without a file", "EPERM"),
        (Layer.SECCOMP, "has memory that grows by itself", "EPERM"),
        (Layer.LANDLOCK, "listens on another port", "EACCES"),
        (Layer.LANDLOCK, "connects", "EACCES"),
        (Layer.LANDLOCK, "connects to a neighbour", "EPERM"),
        (Layer.MDWE, "maps memory to write and execute", "EACCES"),
        (Layer.MDWE, "executes memory that was written", "EACCES"),
    ],
)
def test_the_layer_refuses_what_went_without_it(
    layer: Layer, attempt: str, answer: str, uid: int | None
) -> None:
    assert (became(None, uid)[attempt], became(layer, uid)[attempt]) == (_DONE, answer)


@pytest.mark.parametrize("uid", OTHER_UIDS)
@pytest.mark.parametrize("layer", [Layer.LANDLOCK, Layer.SECCOMP, Layer.MDWE])
@pytest.mark.parametrize(
    "attempt",
    [
        "starts a thread",
        "reads what it may read",
        "replaces a file of its own",
        "changes a file that is there",
        "reads what has no name",
        "listens on its port",
        "is called back from C",
    ],
)
def test_the_layer_leaves_what_a_server_does(layer: Layer, attempt: str, uid: int | None) -> None:
    assert became(layer, uid)[attempt] == _DONE


@pytest.mark.parametrize("uid", OTHER_UIDS)
def test_io_uring_is_not_even_looked_at(uid: int | None) -> None:
    before = became(None, uid)["uses io_uring"]
    if before == "EPERM":
        pytest.skip("io_uring is switched off on this machine")
    assert (before, became(Layer.SECCOMP, uid)["uses io_uring"]) == ("EFAULT", "ENOSYS")
