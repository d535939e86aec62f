"""A short soak: it measures every part, and its exit status and its verdict agree; figures are not looked at."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from bench.soak.figures import Figure
from tests.support.waiting import eventually_sync

LIMIT = 150
STATUS = {"steady": 0, "failed": 1, "inconclusive": 3}


def _command(directory: Path, *arguments: str | Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "bench.soak", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "TMPDIR": str(directory)},
    )


def test_a_short_soak_measures_every_part_and_leaves_nothing(tmp_path: Path) -> None:
    file = tmp_path / "soak.json"
    options = ("--minutes", "0.4", "--users", "2", "--pool", "2", "--json", file)
    with _command(tmp_path, *options) as run:
        said, _ = run.communicate(timeout=LIMIT)
    assert file.exists(), said
    result = json.loads(file.read_text())
    assert run.returncode == STATUS[result["judgement"]], said
    measured = {(each["part"], each["figure"]) for each in result["figures"]}
    for part in ("routing-manager", "haproxy", "w1", "w2", "supervisor", "a server"):
        assert {(part, figure) for figure in (Figure.MEMORY, Figure.DESCRIPTORS)} <= measured, said
    assert {("w1", Figure.LOG), ("volumes/", Figure.DISK), ("audit/", Figure.AUDIT)} <= measured
    assert result["sessions"] > 0
    assert result["made_up_names"] > 0
    assert not [text for text in result["failures"] if " grows by " not in text], said
    assert [each.name for each in tmp_path.iterdir()] == ["soak.json"]


def test_an_interrupted_soak_reports_what_it_has_and_leaves_nothing(tmp_path: Path) -> None:
    file = tmp_path / "soak.json"
    options = ("--minutes", "60", "--users", "1", "--wrappers", "1", "--pool", "1", "--json", file)
    with _command(tmp_path, *options) as run:
        try:
            eventually_sync(
                lambda: [
                    each
                    for each in tmp_path.glob("standby-soak-*/readings.csv")
                    if each.stat().st_size > 1000
                ],
                "it has looked at the platform",
                deadline=90,
            )
            run.send_signal(signal.SIGINT)
            said, _ = run.communicate(timeout=LIMIT)
        finally:
            run.kill()
    assert run.returncode == 130, said
    assert json.loads(file.read_text())["interrupted"]
    assert "inconclusive" in said
    assert [each.name for each in tmp_path.iterdir()] == ["soak.json"]


def test_a_wrong_command_line_is_refused() -> None:
    with _command(Path.cwd(), "--minutes", "none") as run:
        run.communicate(timeout=LIMIT)
    assert run.returncode == 2
