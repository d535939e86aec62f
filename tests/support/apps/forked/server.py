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


def about(question: str) -> str:
    answers: dict[str, Callable[[], object]] = {
        "PID": os.getpid,
        "GROUP": lambda: f"{os.getsid(0)} {os.getpgid(0)}",
        "RANDOM": random.random,
        "ENVIRONMENT": lambda: " ".join(variables),
        "DIRECTORY": Path.cwd,
        "FILES": lambda: " ".join(each.name for each in Path("/proc/self/fd").iterdir()),
    }
    return str(answers[question]())


def orphan() -> str:
    """Leaves a process behind, in its group."""
    pid = os.fork()
    if pid == 0:
        signal.pause()
    return f"{pid}"


def main(own: Mapping[str, str]) -> int:
    variables.update({**os.environ, **own})
    if gate := variables.get("FORKED_GATE"):
        Path(gate).read_text()  # a named pipe: until somebody has written
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
