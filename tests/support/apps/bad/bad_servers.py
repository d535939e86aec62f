"""Servers that misbehave, each in one way, started with BAD_SERVER=<its name>.

Those that get a user take him from the first line of the first connection, `USER <uid>`.
"""

import ctypes
import os
import signal
import socket
import sys
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


def leaving_server() -> None:
    """Changes its uid, and leaves all kinds of things on the machine; a child of its own is in no group of its."""
    uid = int(os.environ["BAD_RUN_AS"])
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
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
