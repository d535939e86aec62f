"""What cannot be forked without harm is refused."""

import os
import socket
import subprocess
import sys
from pathlib import Path

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
