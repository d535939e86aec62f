"""From which servers are forked; SIGUSR1 makes it grow."""

import signal
import sys

import server  # type: ignore[import-not-found]  # it lies beside this file, which runs as a program

from standby.template import serve

ballast: list[bytes] = []


def grow(_number: int, _frame: object) -> None:
    ballast.append(b"x" * 50_000_000)


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, grow)
    sys.exit(serve(server.main))
