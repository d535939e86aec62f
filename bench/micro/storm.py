"""`python -m bench.micro.storm WRAPPER_PID SPARED_PID...`: kill a wrapper's servers soon after they came, until killed.

The wrapper then replaces servers all the time, provided that it does not pause after what it takes for failures
(`BRAKES_OFF`); a few are killed at once, so that it does not take the whole machine for broken. A line says how many.

It imports and does next to nothing, and is nice, so that it takes no time from the client who measures.
"""

import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import Final

BRAKES_OFF: Final = {"APP_WRAPPER_RESTART_FIRST": "0.001", "APP_WRAPPER_RESTART_MOST": "0.001"}
"""Settings of the wrapper."""
_AT_ONCE: Final = 3
_AGE: Final = 0.4
"""Seconds; by then a server is READY."""
_PAUSE: Final = 0.02
_NICEST: Final = 19


def main(wrapper: int, spared: set[int]) -> None:
    os.nice(_NICEST)
    seen: dict[int, float] = {}
    while True:
        now = time.monotonic()
        children = set(
            map(int, Path(f"/proc/{wrapper}/task/{wrapper}/children").read_text().split())
        )
        seen = {pid: seen.get(pid, now) for pid in children - spared}
        grown_up = [pid for pid, since in seen.items() if now - since > _AGE]
        for pid in grown_up[:_AT_ONCE]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        print(len(grown_up[:_AT_ONCE]), flush=True)
        time.sleep(_PAUSE)


if __name__ == "__main__":
    main(int(sys.argv[1]), set(map(int, sys.argv[2:])))
