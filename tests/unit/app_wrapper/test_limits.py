"""What the kernel keeps a server from taking: real processes that try."""

import errno
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app_wrapper.launchers.limits import STACK, Limits

MEBI = 2**20
LIMITS = Limits(memory=256 * MEBI, file=MEBI, descriptors=64, threads=32)
_TRY = """
import errno, json, os, resource, sys, threading

def attempt(do):
    try:
        do()
    except OSError as error:
        return errno.errorcode[error.errno]
    except (MemoryError, RuntimeError, ValueError) as error:
        return type(error).__name__
    return "done"

def change_uid():
    os.setgroups([]); os.setresgid(*[65_432] * 3); os.setresuid(*[65_432] * 3)

def descriptors():
    kept = [os.open("/dev/null", os.O_RDONLY) for _ in range(100)]

def threads():
    end = threading.Event()
    started = []
    try:
        for _ in range(100):
            started.append(threading.Thread(target=end.wait)); started[-1].start()
    finally:
        end.set()

def raise_limits():
    resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY,) * 2)

file = open(sys.argv[1], "wb", buffering=0)
if os.geteuid() == 0:
    change_uid()
print(json.dumps({
    "memory": attempt(lambda: bytearray(1 << 30)),
    "some memory": attempt(lambda: bytearray(100 << 20)),
    "large file": attempt(lambda: file.truncate(1 << 30)),
    "long file": attempt(lambda: [file.write(bytes(1 << 19)) for _ in range(4)]),
    "descriptors": attempt(descriptors),
    "threads": attempt(threads),
    "more": attempt(raise_limits),
    "size": os.fstat(file.fileno()).st_size,
}))
"""


def _tried(limits: Limits, directory: Path) -> dict[str, Any]:
    file = directory / "file"
    command = [sys.executable, "-I", "-c", _TRY, str(file)]
    prepare = limits.before(lambda: None)
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=60, preexec_fn=prepare
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="an account's threads are counted together")
def test_what_a_server_tries_to_take_ends_at_its_limits(tmp_path: Path) -> None:
    found = _tried(LIMITS, tmp_path)
    assert found.pop("size") == MEBI
    assert found == {
        "memory": "MemoryError",
        "some memory": "done",
        "large file": errno.errorcode[errno.EFBIG],
        "long file": errno.errorcode[errno.EFBIG],
        "descriptors": errno.errorcode[errno.EMFILE],
        "threads": "RuntimeError",
        "more": "ValueError",
    }


def test_without_limits_it_has_what_its_wrapper_has(tmp_path: Path) -> None:
    found = _tried(Limits(), tmp_path)
    assert {found[name] for name in ("memory", "large file", "descriptors", "threads")} == {"done"}


def test_a_limit_that_is_lower_already_is_not_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    infinite = resource.RLIM_INFINITY
    held = {
        resource.RLIMIT_DATA: (infinite, infinite),
        resource.RLIMIT_STACK: (8 * MEBI, infinite),
        resource.RLIMIT_FSIZE: (10, 20),
        resource.RLIMIT_NOFILE: (100, 5000),
    }
    set_to: dict[int, tuple[int, int]] = {}
    monkeypatch.setattr(resource, "getrlimit", held.__getitem__)
    monkeypatch.setattr(resource, "setrlimit", set_to.__setitem__)
    Limits(memory=MEBI, file=15, descriptors=200).set_here()
    assert set_to == {
        resource.RLIMIT_DATA: (MEBI, MEBI),
        resource.RLIMIT_STACK: (STACK, STACK),
        resource.RLIMIT_FSIZE: (10, 15),
        resource.RLIMIT_NOFILE: (100, 200),
    }
