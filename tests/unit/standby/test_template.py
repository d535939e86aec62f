"""What cannot be forked without harm is refused, and what comes with a request gets its number."""

import contextlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

_PROGRAM = """
import sys, threading
from standby.template import serve
{before}
sys.exit(serve(lambda own: 0))
"""


@pytest.mark.parametrize(
    ("before", "says"),
    [
        ("threading.Thread(target=threading.Event().wait, daemon=True).start()", "with threads"),
        ("file = open(sys.executable)", Path(sys.executable).resolve().name),
        ("import socket; sock = socket.socket()", "socket:["),
    ],
)
def test_a_process_with_threads_or_open_files_is_no_template(before: str, says: str) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM.format(before=before)],
            env={**os.environ, "STANDBY_TEMPLATE_FD": str(theirs.fileno())},
            pass_fds=[theirs.fileno()],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    assert done.returncode == os.EX_CONFIG
    assert says in done.stderr


_PUT: Final = """
import json, os, sys
from standby.template import _put
given, sockets = json.loads(sys.argv[1])
_put(given, sockets)
listed = os.listdir("/proc/self/fd")
open_now = sorted(int(name) for name in listed if os.path.exists(f"/proc/self/fd/{name}"))
inodes = [os.fstat(number).st_ino for number in (0, 1, 2, *sockets)]
os.write(1, json.dumps([open_now, inodes]).encode())
"""


@pytest.mark.parametrize("wanted", [(), (20,), (21, 20), (4, 3)], ids=str)
def test_a_servers_pipes_and_sockets_get_their_numbers_and_nothing_else_is_open(
    wanted: tuple[int, ...],
) -> None:
    """The second socket is the attestation channel; a number may be one under which something else came."""
    with contextlib.ExitStack() as stack:
        (said, stdout), (unread, _) = _pipe(stack), _pipe(stack)
        sockets = [stack.enter_context(socket.socket()) for _ in wanted]
        given = [unread, stdout, stdout, *(each.fileno() for each in sockets)]
        own = [os.dup(each) for each in given]
        for each in own:
            stack.callback(os.close, each)
        subprocess.run(
            [sys.executable, "-c", _PUT, json.dumps([own, wanted])],
            pass_fds=own,
            check=True,
            timeout=20,
        )
        open_now, found = json.loads(os.read(said, 4096))
        assert open_now == sorted([0, 1, 2, *wanted])
        assert found == [os.fstat(each).st_ino for each in given]


def _pipe(stack: contextlib.ExitStack) -> tuple[int, int]:
    ends = os.pipe()
    for end in ends:
        stack.callback(os.close, end)
    return ends
