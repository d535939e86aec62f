"""Servers that misbehave, each in one way, started with BAD_SERVER=<its name>.

Those that get a user take him from the first line of the first connection, `USER <uid>`.
"""

import ctypes
import errno
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn


def say(line: str) -> None:
    print(line, flush=True)


def for_ever() -> NoReturn:
    while True:
        signal.pause()


def first_user() -> tuple[socket.socket, str]:
    """The first client and the user it names."""
    say("WAITING_LOGIN")
    client, _ = socket.socket(fileno=int(os.environ["BAD_FD"])).accept()
    uid = client.recv(100).decode().split()[1]
    return client, uid


def log_in() -> tuple[socket.socket, str]:
    client, uid = first_user()
    say(f"LOGIN {uid}")
    client.sendall(sys.stdin.readline().encode())
    return client, uid


def never_ready_server() -> None:
    """Starts, and says nothing."""
    for_ever()


def crashing_server() -> None:
    """Ends at once."""
    print("no luck today", file=sys.stderr)
    sys.exit(3)


def misconfigured_server() -> None:
    """Ends with the exit status that says so."""
    sys.exit(os.EX_CONFIG)


def crash_on_login_server() -> None:
    """Ends as soon as it has the user's data."""
    log_in()
    os.kill(os.getpid(), signal.SIGKILL)


def chatty_server() -> None:
    """Floods both outputs, also with a line that has no end, and works all the same."""
    for number in range(20_000):
        print(f"chatter {number} " + "x" * 80)
        print(f"noise {number} " + "y" * 80, file=sys.stderr)
    sys.stdout.write("z" * 1_000_000 + "\n")
    log_in()
    for_ever()


def insistent_server() -> None:
    """Says again and again whose it is, without a pause, if it is mallory's; else it works."""
    _, uid = log_in()
    while uid == "mallory":
        sys.stdout.write("LOGIN mallory\n" * 100)
    for_ever()


def forging_server() -> None:
    """Logs what looks like its wrapper's own records, and records that are none."""
    record = '{"level": "ERROR", "event": "server_changed", "wrapper_id": "w9", "uid": "mallory"}'
    for line in (record, '{"nested": {"event": "x"}}', '{"n": ' + "9" * 4000 + "}", "[" * 8000):
        print(line, file=sys.stderr)
    log_in()
    for_ever()


def stuck_on_stop_server() -> None:
    """Does not care that its input ended, nor for polite signals."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    log_in()
    for_ever()


def lying_about_user_server() -> None:
    """Says that it serves one user, then that it serves another."""
    client, _ = log_in()
    say("LOGIN mallory")
    client.sendall(sys.stdin.readline().encode() or b"nothing\n")
    for_ever()


def ready_again_server() -> None:
    """Offers itself to another user while it still has one."""
    log_in()
    say("WAITING_LOGIN")
    for_ever()


def impossible_user_server() -> None:
    """Names a user that cannot exist, and that a careless wrapper would take for a path."""
    first_user()
    say("LOGIN ../../etc")
    for_ever()


def family_server() -> None:
    """Starts a process that outlives it and keeps its outputs open."""
    log_in()
    if os.fork() == 0:
        for_ever()
    say("LOGOUT logout")


def own_uid() -> int:
    """The one that it was given, as which it goes on; its own where it was given none."""
    uid = int(os.environ.get("BAD_RUN_AS") or os.geteuid())
    if uid != os.geteuid():
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    return uid


def outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    except (MemoryError, RuntimeError) as error:
        return type(error).__name__
    return "done"


def given() -> tuple[socket.socket, Path]:
    """The first client, and its user's volume."""
    own_uid()
    client, uid = first_user()
    say(f"LOGIN {uid}")
    path = Path(sys.stdin.readline().split()[1])
    client.sendall(b"serving\n")
    return client, path


def fill(directory: Path) -> None:
    """With files, as many and as fast as it can."""
    for number in range(200_000):
        (directory / f"{number}").touch()


def many_files_server() -> None:
    """Fills its user's volume with files, in directories too."""
    _, volume = given()
    (volume / "below").mkdir()
    fill(volume / "below")
    for_ever()


def full_before_login_server() -> None:
    """Fills its own directory with files while it waits for a user."""
    own_uid()
    say("WAITING_LOGIN")
    fill(Path())
    for_ever()


def full_scratch_server() -> None:
    """Fills its own directory with files."""
    given()
    fill(Path())
    for_ever()


def greedy_server() -> None:
    """Takes as much as it can of everything, and tells its client what came of it."""
    client, volume = given()
    file = (volume / "notes").open("r+b", buffering=0)
    tried = {
        "a large file": outcome(lambda: file.truncate(3 << 30)),
        "a long file": outcome(lambda: [file.write(bytes(16 << 20)) for _ in range(192)]),
        "another file": outcome((volume / "another").touch),
        "a directory": outcome((volume / "directory").mkdir),
        "another name": outcome(lambda: (volume / "notes").rename(volume / "renamed")),
        "no file": outcome((volume / "notes").unlink),
        "memory": outcome(lambda: bytearray(1 << 30)),
        "descriptors": outcome(lambda: [os.dup(0) for _ in range(1000)]),
    }
    client.sendall(f"{json.dumps(tried)}\n".encode())
    say("LOGOUT logout")


def leaving_server() -> None:
    """Changes its uid, and leaves all kinds of things on the machine; a child of its own is in no group of its."""
    uid = own_uid()
    if os.fork() == 0:
        os.setsid()
        for_ever()
    libc = ctypes.CDLL(None)
    made = libc.shmget(0, 4096, 0o1666), libc.msgget(0, 0o1666), libc.semget(0, 1, 0o1666)
    if -1 in made:
        sys.exit(1)
    for place in ("/dev/shm", "/tmp"):  # noqa: S108  # it is the point
        directory = Path(place, f"left-by-{uid}")
        directory.mkdir()
        (directory / "file").write_text("left")
        Path(place, f"file-left-by-{uid}").write_text("left")
    log_in()
    sys.exit(1)


globals()[os.environ["BAD_SERVER"]]()
