"""A pipe that was read to its end closes no file but its own."""

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from standby import pipes

_PIPES = 300


class Opener(threading.Thread):
    """Opens and closes a file all the time, and counts how often it was closed by somebody else."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.stolen = 0
        self.stop = threading.Event()
        self._file = file

    def run(self) -> None:
        while not self.stop.is_set():
            descriptor = os.open(self._file, os.O_RDONLY)
            try:
                os.fstat(descriptor)
                os.close(descriptor)
            except OSError:
                self.stolen += 1


async def _read_many(openers: list[Opener]) -> None:
    for _ in range(_PIPES):
        assert not [each for each in openers if each.stolen], "a file of somebody else was closed"
        read, write = os.pipe()
        with os.fdopen(read, "rb", buffering=0) as pipe:
            stream, transport = await pipes.reader(pipe, 100)
        os.write(write, b"line\n")
        os.close(write)
        assert await stream.read() == b"line\n"
        transport.close()
        await asyncio.sleep(0)


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_descriptors_are_closed_once(
    tmp_path: Path, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    openers = [Opener(tmp_path) for _ in range(3)]
    for opener in openers:
        opener.start()
    try:
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(_read_many(openers))
    finally:
        for opener in openers:
            opener.stop.set()
            opener.join()
    assert len(list(Path("/proc/self/fd").iterdir())) < before + _PIPES / 10, "nothing is left open"
