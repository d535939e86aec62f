"""What was written is counted through rotation; the logs of one part are counted together."""

import os
from pathlib import Path

import pytest

from bench import processes
from bench.soak.figures import Figure
from bench.soak.looks import Looks, Written
from bench.soak.observer import tracebacks
from standby_cli.endpoints import Pids
from standby_cli.layout import Layout

NOBODY = 2**22 + 1
"""A pid that the kernel never gives."""


def test_what_was_written_is_counted_through_renaming_emptying_and_removal() -> None:
    written = Written()
    assert written.update({1: 100}) == 100
    assert written.update({1: 150}) == 150
    assert written.update({1: 150, 2: 10}) == 160, "renamed, and a new one begun"
    assert written.update({2: 30}) == 180, "the old one is removed"
    assert written.update({2: 5}) == 185, "emptied, and written again"
    assert written.update({}) == 185


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path / "state")
    layout.make()
    return layout


def test_directories_and_logs_are_looked_at_while_processes_are_gone(layout: Layout) -> None:
    layout.log("w1").write_bytes(b"x" * 2048)
    (layout.logs / "w1.log.1").write_bytes(b"x" * 1024)
    (layout.volumes / "user-1").mkdir()
    (layout.volumes / "user-1" / "smartgrid.db").write_bytes(b"x" * 2**20)
    pids = Pids(routing_manager=NOBODY, haproxy=NOBODY, wrappers={"w1": NOBODY}, supervisor=NOBODY)

    values = Looks(layout).look(pids)

    assert values["w1", Figure.LOG] == 3.0
    assert values["volumes/", Figure.FILES] == 2
    assert values["volumes/", Figure.DISK] >= 1.0
    assert values["logs/", Figure.FILES] == 2
    assert ("logs/", Figure.DISK) not in values, "logs are there to grow; their rate is judged"
    assert values["w1", Figure.PROCESSES] == 0
    assert ("w1", Figure.MEMORY) not in values


def test_tracebacks_are_found_in_rotated_logs_too(layout: Layout) -> None:
    record = b'{"event":"tick_failed","exc_info":"Traceback (most recent call last)"}\n'
    layout.log("w1").write_bytes(b'{"event":"fine"}\n' + record)
    (layout.logs / "w1.log.1").write_bytes(record + b"Traceback (most recent call last):\n")
    assert tracebacks(layout.logs) == {"w1 tick_failed": 2, "w1 (not a log record)": 1}


def test_a_process_is_looked_at() -> None:
    used = processes.usage(os.getpid())
    assert used.anonymous > 0
    assert used.descriptors > 0
    assert used.threads > 0
