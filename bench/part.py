"""One part of the platform by itself, for a measurement that needs no other."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

from msgspec import Struct

from standby.processes import dies_with_parent
from standby.settings import to_environ


@contextlib.contextmanager
def part(module: str, settings: Struct, prefix: str) -> Iterator[int]:
    """Its pid, while the context lasts; it may not be up yet. To be entered while there is one thread only."""
    process = subprocess.Popen(
        [sys.executable, "-m", module],
        env={**os.environ, **to_environ(settings, prefix)},
        stderr=subprocess.DEVNULL,
        preexec_fn=dies_with_parent(),  # noqa: PLW1509  # as above
    )
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait()
