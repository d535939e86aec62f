"""Answers questions about its own process, one connection and one line at a time; `USER <uid>` logs in."""

import os
import random
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path


def say(line: str) -> None:
    print(line, flush=True)


variables: dict[str, str] = {}
started: list[int] = []
"""The niceness, own and of the session, with which `main` began."""


def about(question: str) -> str:
    answers: dict[str, Callable[[], object]] = {
        "PID": os.getpid,
        "GROUP": lambda: f"{os.getsid(0)} {os.getpgid(0)}",
        "RANDOM": random.random,
        "ENVIRONMENT": lambda: " ".join(variables),
        "DIRECTORY": Path.cwd,
        "NICE": lambda: started[0],
        "SESSION": lambda: started[1],
        "FILES": lambda: " ".join(each.name for each in Path("/proc/self/fd").iterdir()),
    }
    return str(answers[question]())


def session_niceness(pid: int) -> int:
    """0 where the kernel knows none."""
    try:
        return int(Path(f"/proc/{pid}/autogroup").read_text().split()[-1])
    except FileNotFoundError:
        return 0


def orphan() -> str:
    """Leaves a process behind, in its group."""
    pid = os.fork()
    if pid == 0:
        signal.pause()
    return f"{pid}"


def main(own: Mapping[str, str]) -> int:
    variables.update({**os.environ, **own})
    started.extend((os.getpriority(os.PRIO_PROCESS, 0), session_niceness(os.getpid())))
    listener = socket.socket(fileno=int(variables["FORKED_FD"]))
    listener.listen()
    say("WAITING_LOGIN")
    while True:
        client, _ = listener.accept()
        with client, client.makefile("rw") as stream:
            for line in stream:
                word, _, rest = line.strip().partition(" ")
                if word == "EXIT":
                    return int(rest)
                if word == "USER":
                    say(f"LOGIN {rest}")
                    answer = sys.stdin.readline().strip()
                elif word == "ORPHAN":
                    answer = orphan()
                else:
                    answer = about(word)
                stream.write(f"{answer}\n")
                stream.flush()


if __name__ == "__main__":
    sys.exit(main({}))
