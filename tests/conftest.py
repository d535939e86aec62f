"""Fixtures that every test may use, and the guards that stand around every test."""

import ctypes
import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.certificates import Certificates
from tests.support.waiting import NeverHappenedError, eventually_sync

_PR_SET_CHILD_SUBREAPER = 36

# how long one example takes says how busy the machine is
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.create(tmp_path_factory.mktemp("certificates"))


def _children() -> set[int]:
    """Live children of this process, zombies included: a zombie is a child that nobody reaped."""
    tasks = Path(f"/proc/{os.getpid()}/task")
    found: set[int] = set()
    for task in tasks.iterdir():
        try:
            found |= {int(pid) for pid in (task / "children").read_text().split()}
        except FileNotFoundError:
            continue
    return found


def _described(pid: int) -> str:
    """`pid`, its state and what it runs: a zombie runs nothing any more."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().split()[1:5]
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError as e:
        return f"{pid}: {e}"
    return f"{pid}: {' '.join(stat)}: {command}"


def _sockets() -> set[str]:
    links = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            link = str(descriptor.readlink())
        except FileNotFoundError:
            continue
        if link.startswith("socket:"):
            links.add(link)
    return links


def _closed(before: set[str]) -> bool:
    """Whether only sockets are open that were open before.

    One in a cycle of garbage is as good as closed, but it says so (ResourceWarning) only when it is collected.
    """
    if not _sockets() <= before:
        gc.collect()
    return _sockets() <= before


def _adopt_no_orphans() -> None:
    """A launcher that forks made this process adopt orphans, and daemons of later tests would become its children."""
    assert ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 0) == 0


@pytest.fixture(autouse=True)
def _nothing_is_left_behind() -> Iterator[None]:
    children, sockets = _children(), _sockets()
    yield
    _adopt_no_orphans()
    try:
        eventually_sync(
            lambda: _children() <= children, "the test's child processes have ended and were reaped"
        )
    except NeverHappenedError as e:
        e.add_note("\n".join(map(_described, _children() - children)))
        raise
    eventually_sync(lambda: _closed(sockets), "the test's sockets are closed")
