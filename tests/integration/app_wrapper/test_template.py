"""A template that ends leaves nothing behind, whatever it was doing."""

import os
import sys
from pathlib import Path

from app_wrapper.launchers.limits import UNLIMITED
from app_wrapper.launchers.template import Template
from standby import processes
from tests.support.waiting import eventually

FORKING = """
import os, sys, time
child = os.fork()
if child:
    with open(sys.argv[1] + ".new", "w") as file:
        file.write(str(child))
    os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(3600)
"""
"""Ends while there is a process between it and the server that it forks."""


async def test_what_it_was_forking_ends_with_it_and_is_reaped(tmp_path: Path) -> None:
    processes.adopt_orphans()
    told = tmp_path / "child"
    template = Template.start(
        [sys.executable, "-c", FORKING, str(told)], tmp_path, dict(os.environ), UNLIMITED
    )
    await eventually(told.exists, "it has forked")
    template.close()
    await template.left()
    assert told.read_text() not in os.listdir("/proc")  # noqa: PTH208
