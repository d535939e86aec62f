"""Times of files have a granularity; tests that ask whether a change is seen must not be faster than that."""

import time
from pathlib import Path


def later_than(file: Path) -> None:
    """Return once a change of the file would have another time than its last one."""
    probe = file.with_name(f"{file.name}.probe")
    deadline = time.monotonic() + 5
    while True:
        probe.write_bytes(b"")
        if probe.stat().st_ctime_ns > file.stat().st_ctime_ns:
            probe.unlink()
            return
        assert time.monotonic() < deadline, "the file system's clock stands still"


def in_an_hour() -> int:
    """A clock by which every file is settled."""
    return time.time_ns() + 3600 * 10**9
