"""A process that changes to a uid of its own: what it can no longer do, to itself and to its neighbours."""

import contextlib
import ctypes
import errno
import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest

from standby import processes
from standby.hardening import HardeningError, Layer, Outcome, Places, Plan, harden, kernel
from tests.integration.standby import NOBODY, NUMBERS, become, in_child

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can change its uid")
A, B = 700_000, 700_001
_OWN: Final = frozenset({Layer.OWN_UID})
_SECRET: Final = b"a key of somebody else's"
_DONE: Final = "done"
_SET_DUMPABLE: Final = 4
_SET_SECUREBITS: Final = 28
_NO_SETUID_FIXUP: Final = 1 << 2


@contextlib.contextmanager
def reachable() -> Iterator[Path]:
    """A directory that strangers can pass through; pytest's own are closed to them."""
    with TemporaryDirectory(prefix="own-uid-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


def _volume(place: Path, uid: int) -> Path:
    """As a claim hands one over."""
    data = place / f"volume-{uid}"
    data.mkdir(mode=0o700)
    (data / "file").write_bytes(_SECRET)
    (data / "file").chmod(0o600)
    for each in (data, data / "file"):
        os.chown(each, uid, uid)
    return data


def _outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return _DONE


class Neighbour:
    """A forked server with a uid of its own; no other layer closes it."""

    def __init__(self, uid: int) -> None:
        self.kept = ctypes.create_string_buffer(_SECRET)
        told, tell = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            _own(uid)
            os.write(tell, b".")
            signal.pause()
        assert os.read(told, 1) == b"."
        os.close(told)
        os.close(tell)

    def attempts(self, volume: Path) -> dict[str, Callable[[], object]]:
        return {
            "reads its file": (volume / "file").read_bytes,
            "lists its volume": lambda: os.listdir(volume),  # noqa: PTH208  # one call, one answer
            "writes its file": lambda: (volume / "file").write_bytes(_SECRET),
            "reads its memory": self._peek,
            "copies its memory": self._copy,
            "sees its environment": Path(f"/proc/{self.pid}/environ").read_bytes,
            "signals it": lambda: os.kill(self.pid, 0),
        }

    def _peek(self) -> None:
        with open(f"/proc/{self.pid}/mem", "rb", buffering=0) as memory:  # noqa: PTH123  # not a file
            memory.seek(ctypes.addressof(self.kept))
            assert memory.read(len(_SECRET)) == _SECRET

    def _copy(self) -> None:
        buffer = ctypes.create_string_buffer(len(_SECRET))
        here = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), len(_SECRET))
        there = (ctypes.c_size_t * 2)(ctypes.addressof(self.kept), len(_SECRET))
        where = ctypes.addressof(here), 1, ctypes.addressof(there), 1
        kernel.syscall(NUMBERS["process_vm_readv"], self.pid, *where)
        assert buffer.raw == _SECRET

    def end(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def _own(uid: int) -> None:
    """Have this uid, and be a process like any other of it: the kernel closes one that has changed."""
    (report,) = harden(Plan(layers=_OWN, run_as=uid)).layers
    assert report.outcome is Outcome.APPLIED, report.text
    kernel.prctl(_SET_DUMPABLE, 1)


def _answer_of(work: Callable[[], str]) -> str:
    """What is said by a process that is forked for it."""
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(tell, work().encode())
        finally:
            os._exit(0)
    os.close(tell)
    with os.fdopen(told) as answer:
        text = answer.read()
    os.waitpid(pid, 0)
    return text


def intrude(place: str, uid: int) -> dict[str, str]:
    """In the child, as root: what a process of `uid` can do to a neighbour of uid B."""
    volume = _volume(Path(place), B)
    neighbour = Neighbour(B)

    def one(attempt: Callable[[], object]) -> str:
        _own(uid)
        return _outcome(attempt)

    try:
        tries = neighbour.attempts(volume)
        return {name: _answer_of(partial(one, attempt)) for name, attempt in tries.items()}
    finally:
        neighbour.end()


_REFUSED: Final = {
    "reads its file": "EACCES",
    "lists its volume": "EACCES",
    "writes its file": "EACCES",
    "reads its memory": "EACCES",
    "copies its memory": "EPERM",
    "sees its environment": "EACCES",
    "signals it": "EPERM",
}


def test_a_process_of_another_uid_gets_at_nothing_of_its_neighbour() -> None:
    with reachable() as place:
        assert in_child(intrude, place=str(place), uid=A) == _REFUSED


def test_a_process_of_the_same_uid_would() -> None:
    scope = Path("/proc/sys/kernel/yama/ptrace_scope")
    if scope.exists() and scope.read_text().strip() != "0":
        pytest.skip("this kernel's Yama forbids some of it anyway")
    with reachable() as place:
        told = in_child(intrude, place=str(place), uid=B)
    assert told == dict.fromkeys(_REFUSED, _DONE)


def return_to_root(changed: bool) -> dict[str, str]:
    """In the child: every way back."""
    if changed:
        _own(A)
    ways: dict[str, Callable[[], object]] = {
        "setuid": lambda: os.setuid(0),
        "seteuid": lambda: os.seteuid(0),
        "setresuid": lambda: os.setresuid(-1, 0, -1),
        "setgid": lambda: os.setgid(0),
        "setresgid": lambda: os.setresgid(-1, 0, -1),
        "setgroups": lambda: os.setgroups([0]),
        "reads what only root may": lambda: os.open("/etc/shadow", os.O_RDONLY),
    }
    return {name: _outcome(way) for name, way in ways.items()}


def test_there_is_no_way_back_to_root() -> None:
    told = in_child(return_to_root, changed=True)
    assert told.pop("reads what only root may") == "EACCES"
    assert set(told.values()) == {"EPERM"}
    assert set(in_child(return_to_root, changed=False).values()) == {_DONE}


def identity() -> dict[str, Any]:
    """In the child: who it is afterwards."""
    os.setgroups([0, 4, 27])
    _own(A)
    status = Path("/proc/self/status").read_text().splitlines()
    caps = [line.split()[1] for line in status if line.startswith(("CapPrm", "CapEff", "CapAmb"))]
    return {
        "uids": os.getresuid(),
        "gids": os.getresgid(),
        "groups": os.getgroups(),
        "capabilities": sum(int(each, 16) for each in caps),
    }


def test_no_id_group_or_capability_of_roots_is_left() -> None:
    everywhere = [A, A, A]
    expected = {"uids": everywhere, "gids": everywhere, "groups": [], "capabilities": 0}
    assert in_child(identity) == expected


def keep_capabilities() -> list[str]:
    """In the child: a kernel that is told to leave root's capabilities to whoever changes the uid."""
    kernel.prctl(_SET_SECUREBITS, _NO_SETUID_FIXUP)
    (report,) = harden(Plan(layers=_OWN, run_as=A)).layers
    return [report.outcome, report.text]


def test_capabilities_that_outlive_the_change_are_found() -> None:
    outcome, text = in_child(keep_capabilities)
    assert outcome == Outcome.FAILED
    assert text.startswith("capabilities of root are left: 0x")


def harden_as(uid: int | None, run_as: int | None) -> list[str]:
    """In the child: the layer alone, required."""
    become(uid)
    try:
        (report,) = harden(Plan(layers=_OWN, run_as=run_as, required=True)).layers
    except HardeningError as error:
        return ["ends", str(error)]
    return [report.outcome, report.text]


@pytest.mark.parametrize(
    ("uid", "run_as", "outcome", "text"),
    [
        (None, A, Outcome.APPLIED, f"uid and gid {A}"),
        (None, None, "ends", "was given no uid of its own"),
        (None, 0, "ends", "0 is no uid of a process's own"),
        (NOBODY, None, Outcome.UNSUPPORTED, "needs a wrapper started as root"),
        (NOBODY, A, "ends", "Operation not permitted"),
    ],
)
def test_required_ends_whoever_could_have_had_a_uid_and_has_none(
    uid: int | None, run_as: int | None, outcome: str, text: str
) -> None:
    said, why = in_child(harden_as, uid=uid, run_as=run_as)
    assert said == outcome
    assert text in why


def harden_whole(place: str) -> dict[str, Any]:
    """In the child: every layer, after the change."""
    volume = _volume(Path(place), A)
    other = _volume(Path(place), B)
    places = Places(read_write=(Path(place),))
    report = harden(Plan(places=places, run_as=A, required=False))
    (volume / "fresh").write_text("mine")
    return {
        "failed": [each.text for each in report.layers if each.outcome is Outcome.FAILED],
        "first": report.layers[0].layer,
        "owner": (volume / "fresh").stat().st_uid,
        "other's": _outcome((other / "file").read_bytes),
    }


def test_the_other_layers_are_applied_after_it() -> None:
    with reachable() as place:
        told = in_child(harden_whole, place=str(place))
    assert told == {"failed": [], "first": Layer.OWN_UID, "owner": A, "other's": "EACCES"}


def outlive(keep: bool, wanted: bool) -> bool:
    """In the child: whether a server that has changed its uid still answers when its parent has been killed."""
    processes.adopt_orphans()
    told, tell = os.pipe()
    asked, ask = os.pipe()
    me, parent = os.getpid(), os.fork()
    if parent == 0:
        processes.die_with(me)
        _be_parent(asked, tell, keep=keep, wanted=wanted)
    os.close(tell)
    server = int(os.read(told, 16))
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    os.write(ask, b".")
    answer = os.read(told, 1)  # nothing, when the last process that could write is gone
    os.waitpid(server, 0)
    return answer == b"."


def _be_parent(asked: int, tell: int, *, keep: bool, wanted: bool) -> None:
    me = os.getpid()
    if os.fork() == 0:
        os.setsid()
        if wanted:
            processes.die_with(me)
        if keep:
            _own(A)
        else:
            os.setresuid(A, A, A)
        os.write(tell, str(os.getpid()).encode())
        os.write(tell, os.read(asked, 1))
        os._exit(0)
    signal.pause()


@pytest.mark.parametrize(
    ("keep", "wanted", "lives"),
    [
        pytest.param(True, True, False, id="the-layer-asks-for-it-again"),
        pytest.param(False, True, True, id="the-kernel-forgets-it"),
        pytest.param(True, False, True, id="who-did-not-want-it-is-left-alone"),
    ],
)
def test_a_server_still_dies_with_its_parent(keep: bool, wanted: bool, lives: bool) -> None:
    assert in_child(outlive, keep=keep, wanted=wanted) is lives


def lose_parent_meanwhile() -> int:
    """In the child: the exit status of a server whose parent goes while it has no death signal."""
    processes.adopt_orphans()
    go_on, gone = os.pipe()
    told, tell = os.pipe()
    me, parent = os.getpid(), os.fork()
    if parent == 0:
        processes.die_with(me)
        between = os.getpid()
        if os.fork() == 0:
            processes.die_with(between)
            with processes.death_signal_kept():
                os.setresuid(A, A, A)
                os.write(tell, str(os.getpid()).encode())
                os.read(go_on, 1)
            os._exit(0)
        signal.pause()
    server = int(os.read(told, 16))
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    os.write(gone, b".")
    return os.waitstatus_to_exitcode(os.waitpid(server, 0)[1])


def test_a_server_whose_parent_goes_meanwhile_ends_too() -> None:
    assert in_child(lose_parent_meanwhile) == 1
