"""What a process of the same uid learns of a server, and what root does: with its memory closed and without."""

import contextlib
import ctypes
import errno
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from standby.hardening import Layer, Plan, harden, kernel
from standby.locked import Kind, LockedKey
from tests.integration.standby import NUMBERS, OTHER_UIDS, become, in_child

_MASK: Final = 0x5A
_READABLE: Final = "r"
Learned = dict[str, str]


class Victim:
    """A forked process that is hardened as asked, and has a key of which nobody else has a copy."""

    def __init__(self, layers: frozenset[Layer], kind: Kind | None = None) -> None:
        self.key = bytearray(os.urandom(32))
        """Masked; see `unmasked`."""
        self._buffer = bytearray(32)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self._buffer))
        self._said, say = os.pipe()
        listen, self._answer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            with contextlib.suppress(BaseException):
                os.close(self._answer)
                self._live(layers, kind, say, listen)
            os._exit(0)
        os.close(say)
        os.close(listen)
        self.wait()

    def _live(self, layers: frozenset[Layer], kind: Kind | None, say: int, listen: int) -> None:
        held = LockedKey(kinds=(kind,)) if kind else None
        view = held.reveal() if held else memoryview(self._buffer)
        for index, byte in enumerate(self.key):
            view[index] = byte ^ _MASK
        del view
        harden(Plan(layers=layers))
        os.write(say, b".")
        os.read(listen, 1)
        if held:
            held.close()
        os.write(say, b".")
        os.read(listen, 1)

    @property
    def unmasked(self) -> bytes:
        return bytes(byte ^ _MASK for byte in self.key)

    def wait(self) -> None:
        """Until it has come to its next step."""
        assert os.read(self._said, 1) == b"."

    def go_on(self) -> None:
        os.write(self._answer, b".")
        self.wait()

    def end(self) -> None:
        os.close(self._answer)
        os.close(self._said)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


@contextlib.contextmanager
def victim(layers: set[Layer], kind: Kind | None = None) -> Iterator[Victim]:
    made = Victim(frozenset(layers), kind)
    try:
        yield made
    finally:
        made.end()


def spy(closed: bool, uid: int | None) -> Learned:
    """In the child: all that a neighbour can try."""
    become(uid)
    with victim({Layer.NOT_DUMPABLE} if closed else set()) as other:
        proc = Path(f"/proc/{other.pid}")
        tries: dict[str, Callable[[], object]] = {
            "reads its memory": lambda: _same(_peek(other), other.unmasked),
            "copies its memory": lambda: _same(_copy(other), other.unmasked),
            "sees its environment": (proc / "environ").read_bytes,
            "sees where its memory is": (proc / "maps").read_bytes,
            "sees what it has open": lambda: list((proc / "fd").iterdir()),
            "takes what it has open": lambda: _take(other.pid),
            "traces it": lambda: _trace(other.pid),
        }
        return {name: _outcome(attempt) for name, attempt in tries.items()}


def _outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "done"


def _same(one: bytes, other: bytes) -> None:
    assert one == other


def _peek(other: Victim) -> bytes:
    with open(f"/proc/{other.pid}/mem", "rb", buffering=0) as memory:  # noqa: PTH123  # not a path's content
        memory.seek(other.address)
        return memory.read(32)


def _copy(other: Victim) -> bytes:
    buffer = ctypes.create_string_buffer(32)
    here = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), 32)
    there = (ctypes.c_size_t * 2)(other.address, 32)
    where = ctypes.addressof(here), 1, ctypes.addressof(there), 1
    kernel.syscall(NUMBERS["process_vm_readv"], other.pid, *where)
    return buffer.raw


def _take(pid: int) -> None:
    descriptor = os.pidfd_open(pid)
    try:
        os.close(kernel.syscall(NUMBERS["pidfd_getfd"], descriptor, 0))
    finally:
        os.close(descriptor)


def _trace(pid: int) -> None:
    kernel.syscall(NUMBERS["ptrace"], 16, pid)  # PTRACE_ATTACH
    os.waitpid(pid, 0)
    kernel.syscall(NUMBERS["ptrace"], 17, pid)  # PTRACE_DETACH


UNPRIVILEGED: Final = OTHER_UIDS[-1]
"""Root may read everything, so it is no neighbour of the same uid."""


def test_without_it_a_process_of_the_same_uid_learns_everything() -> None:
    if _yama():
        pytest.skip("this kernel's Yama forbids it already")
    assert set(in_child(spy, closed=False, uid=UNPRIVILEGED).values()) == {"done"}


@pytest.mark.parametrize(
    ("attempt", "answer"),
    [
        ("reads its memory", "EACCES"),
        ("copies its memory", "EPERM"),
        ("sees its environment", "EACCES"),
        ("sees where its memory is", "EACCES"),
        ("sees what it has open", "EACCES"),
        ("takes what it has open", "EPERM"),
        ("traces it", "EPERM"),
    ],
)
def test_a_process_of_the_same_uid_learns_nothing(attempt: str, answer: str) -> None:
    assert in_child(spy, closed=True, uid=UNPRIVILEGED)[attempt] == answer


def _yama() -> bool:
    scope = Path("/proc/sys/kernel/yama/ptrace_scope")
    return scope.exists() and scope.read_text().strip() not in {"0", "1"}


def search(kind: str | None, hardened: bool, uid: int | None) -> dict[str, Any]:
    """In the child: how often the key is found in the victim's memory, with its locked buffer open and closed."""
    become(uid)
    layers = {Layer.NOT_DUMPABLE} if hardened else set()
    with victim(layers, Kind(kind) if kind else None) as other:
        before = _copies(other)
        other.go_on()
        return {"open": before, "closed": _copies(other)}


def _copies(other: Victim) -> int | str:
    key = other.unmasked
    found = 0
    try:
        maps = Path(f"/proc/{other.pid}/maps").read_text().splitlines()
        with open(f"/proc/{other.pid}/mem", "rb", buffering=0) as memory:  # noqa: PTH123  # as above
            for line in maps:
                extent, mode, *_ = line.split()
                if mode.startswith(_READABLE):
                    found += _within(memory, extent).count(key)
    except PermissionError:
        return "refused"
    return found


def _within(memory: Any, extent: str) -> bytes:
    start, end = (int(each, 16) for each in extent.split("-"))
    try:
        memory.seek(start)
        read: bytes = memory.read(end - start)
    except (OSError, OverflowError):  # memfd_secret and what is the kernel's
        return b""
    return read


@pytest.mark.parametrize("uid", OTHER_UIDS)
@pytest.mark.parametrize(
    ("kind", "found"),
    [
        (None, {"open": 1, "closed": 1}),
        (Kind.MLOCK, {"open": 1, "closed": 0}),
        (Kind.MEMFD_SECRET, {"open": 0, "closed": 0}),
    ],
)
def test_who_may_read_the_process_finds_the_key_only_where_it_is_ordinary_memory(
    kind: Kind | None, found: dict[str, int], uid: int | None
) -> None:
    if kind is not None:
        _skip_without(kind)
    if _yama():
        pytest.skip("this kernel's Yama forbids reading other processes")
    assert in_child(search, kind=kind, hardened=False, uid=uid) == found


@pytest.mark.parametrize("kind", Kind)
def test_in_a_closed_process_a_neighbour_finds_no_key_of_either_kind(kind: Kind) -> None:
    _skip_without(kind)
    found = in_child(search, kind=kind, hardened=True, uid=UNPRIVILEGED)
    assert found == {"open": "refused", "closed": "refused"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may read a closed process")
def test_root_reads_a_closed_process_but_not_secret_memory() -> None:
    _skip_without(Kind.MEMFD_SECRET)
    assert in_child(search, kind=Kind.MLOCK, hardened=True, uid=None)["open"] == 1
    assert in_child(search, kind=Kind.MEMFD_SECRET, hardened=True, uid=None)["open"] == 0


def read_own(kind: str) -> str:
    """In the child: its own key by way of /proc."""
    with LockedKey(kinds=(Kind(kind),)) as key:
        view = key.reveal()
        view[:] = b"k" * 32
        address = ctypes.addressof(ctypes.c_char.from_buffer(view))
        del view
        with open("/proc/self/mem", "rb", buffering=0) as memory:  # noqa: PTH123  # as above
            memory.seek(address)
            return _outcome(lambda: _same(memory.read(32), b"k" * 32))


def test_secret_memory_cannot_be_read_by_way_of_proc_by_its_own_process() -> None:
    _skip_without(Kind.MEMFD_SECRET)
    assert in_child(read_own, kind=Kind.MLOCK) == "done"
    assert in_child(read_own, kind=Kind.MEMFD_SECRET) == "EIO"


def in_a_thread() -> str:
    """In the child: a thread of a closed process uses what is open under its number."""
    become(UNPRIVILEGED)
    harden(Plan(layers=frozenset({Layer.NOT_DUMPABLE})))
    descriptor, writing = os.pipe()
    os.write(writing, b"pem")
    os.close(writing)
    found: list[str] = []
    path = Path(f"/proc/self/fd/{descriptor}")
    thread = threading.Thread(target=lambda: found.append(path.read_text()))
    thread.start()
    thread.join()
    return found[0]


def test_a_closed_process_still_finds_its_own_descriptors() -> None:
    assert in_child(in_a_thread) == "pem"


def _skip_without(kind: Kind) -> None:
    try:
        LockedKey(kinds=(kind,)).close()
    except OSError as error:
        pytest.skip(f"no {kind} here: {error.strerror}")
