"""Tests of what cannot be undone run in processes of their own; this starts one.

A child imports the test's module, runs one function of it, and answers with the result as JSON. As another uid it can
import nothing any more (the interpreter may be in root's home), so `become` comes after all imports.
"""

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from standby.hardening import bpf, calls

ROOT: Final = Path(__file__).parent.parent.parent.parent
NOBODY: Final = 65534
OTHER_UIDS: Final = (None, NOBODY) if os.geteuid() == 0 else (None,)
"""As whom to test: whoever runs the tests, and where that is root, somebody who has no rights."""
NUMBERS: Final = calls.all_numbers(bpf.ARCHITECTURES[os.uname().machine].column)
"""Of all system calls on this machine."""
_PR_SET_DUMPABLE: Final = 4
_DEADLINE: Final = 30
_START: Final = (
    "import json, sys; from importlib import import_module; "
    "module, function, given = json.load(sys.stdin); "
    "print(json.dumps(getattr(import_module(module), function)(**given)))"
)


def in_child(function: Callable[..., Any], **given: Any) -> Any:
    """What the function returns in a process of its own; arguments and result are what JSON can say."""
    done = subprocess.run(
        [sys.executable, "-c", _START],
        input=json.dumps([function.__module__, function.__qualname__, given]),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=_DEADLINE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@contextmanager
def directory_of(uid: int | None) -> Iterator[Path]:
    """A new directory that belongs to that uid and that it can reach, which is not so below pytest's."""
    with TemporaryDirectory(prefix="hardening-") as name:
        if uid is not None:
            os.chown(name, uid, uid)
        yield Path(name)


def become(uid: int | None) -> None:
    """Be somebody else, and a process like any other of his: the kernel closes it at a change of uid."""
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
