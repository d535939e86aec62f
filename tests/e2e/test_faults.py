"""A short storm of faults on a platform in use: no promise is broken, however few of them the machine had time for."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.waiting import eventually_sync

ZERO = (
    "lost_rows",
    "lost_alarms",
    "duplicated_rows",
    "foreign_rows",
    "processes_with_two_users",
    "concurrent_writers",
    "unreadable_databases",
    "requests_failed_on_open_connections_by_routing_manager_kill",
)
LIMIT = 300
INCONCLUSIVE = 3


def _command(directory: Path, *arguments: str | Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "bench.faults", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "TMPDIR": str(directory)},
    )


@pytest.mark.timeout(LIMIT + 20)
def test_no_promise_is_broken_while_parts_are_killed_stopped_and_ended(tmp_path: Path) -> None:
    file = tmp_path / "faults.json"
    with _command(
        tmp_path, "--seconds", "40", "--users", "8", "--seed", "5", "--json", file
    ) as run:
        said, _ = run.communicate(timeout=LIMIT)
    assert file.exists(), said
    result = json.loads(file.read_text())
    assert result["failures"] == [], said
    assert run.returncode == (INCONCLUSIVE if result["lacking"] else 0), said
    assert {name: result[name] for name in ZERO} == dict.fromkeys(ZERO, 0)
    assert result["refused_for_good"] == {}
    happened = [
        *result["kills"].values(),
        *result["stops"].values(),
        *result["terminations"].values(),
    ]
    assert sum(happened) + result["floods"] > 0, said
    assert not list(tmp_path.glob("standby-faults-*"))


@pytest.mark.timeout(LIMIT + 20)
def test_an_interrupted_run_reports_what_it_has_and_leaves_nothing(tmp_path: Path) -> None:
    file = tmp_path / "faults.json"
    options = ("--seconds", "600", "--users", "2", "--pool", "2", "--json", file)
    with _command(tmp_path, *options) as run:
        try:
            eventually_sync(
                lambda: [
                    each
                    for each in tmp_path.glob("standby-faults-*/faults.jsonl")
                    if each.stat().st_size
                ],
                "a fault has happened",
                deadline=150,
            )
            run.send_signal(signal.SIGINT)
            said, _ = run.communicate(timeout=LIMIT)
        finally:
            run.kill()
    assert run.returncode == 130, said
    assert json.loads(file.read_text())["interrupted"]
    assert [each.name for each in tmp_path.iterdir()] == ["faults.json"]
    assert not [
        path
        for path in Path("/proc").glob("[0-9]*/environ")
        if str(tmp_path).encode() in _read(path)
    ]


def test_a_wrong_command_line_is_refused() -> None:
    with _command(Path.cwd(), "--seconds", "none") as run:
        run.communicate(timeout=LIMIT)
    assert run.returncode == 2


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
