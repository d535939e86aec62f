"""The short plan runs everything and is reported; an interrupted plan says what it has, and goes on."""

import json
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from bench.experiment import rows
from tests.support.waiting import eventually_sync

LIMIT = 400
LATE = {"tls", "not_sent"}
"""Where a server is started for each user, a busy machine starts some too late: an alert, and no session."""
SHORT = """
title = "Short"
[[experiment]]
kind = "startup"
name = "startup"
title = "Starts"
about = "Forked servers."
launchers = ["fork"]
starts = 2
pause = 0

[[experiment]]
kind = "sessions"
name = "sessions"
title = "Sessions"
about = "Two users."
compression = 100
systems = ["standby/fork"]
users = [2]
active = [2]
write_ratio = [0.5]
period = [60]
spread = 100
sample = 0.2
repetitions = 2
"""


def _command(plan: str, out: Path, *options: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "bench.experiment", plan, "--out", str(out), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _summary(out: Path) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads((out / "summary.json").read_text())
    return summary


@pytest.mark.timeout(LIMIT + 20)
def test_the_short_plan_runs_everything_and_is_reported_as_one_page(tmp_path: Path) -> None:
    with _command("quick", tmp_path / "out") as running:
        said, _ = running.communicate(timeout=LIMIT)
    out = tmp_path / "out"
    summary = _summary(out)
    assert summary["complete"], said
    # a busy machine makes runs that do not count, which is said and is an exit status of its own
    cells = [cell for each in summary["experiments"] for cell in each["cells"]]
    counted = all(cell["valid"] == cell["runs"] for cell in cells)
    assert running.returncode == (0 if counted else 1), said
    assert {each["name"] for each in summary["experiments"]} == {
        "startup",
        "ingress",
        "baseline",
        "memory",
        "type1",
        "type2",
        "scale",
    }
    for file in out.glob("runs/*/requests.csv"):
        taken = rows.read(file)
        assert taken, file
        errors = {row.error for row in taken if row.error}
        assert errors <= (LATE if "on-demand" in file.parent.name else set()), (file, errors)
    page = (out / "report.html").read_text()
    assert "simulated enclave" in page
    assert "150 times" in page, "the compression of time"
    assert not re.search(r'(?:src|href)="(?!#|data:)', page)
    assert list(out.glob("figures/*.svg"))
    assert len(list(out.glob("figures/*.png"))) == len(list(out.glob("figures/*.svg")))


def test_an_interrupted_plan_reports_what_it_has_and_goes_on(tmp_path: Path) -> None:
    plan = tmp_path / "short.toml"
    plan.write_text(SHORT)
    out = tmp_path / "out"
    with _command(str(plan), out, "--metrics-port", "0") as running:
        assert running.stdout
        found = re.search(r"http://\S+", running.stdout.readline())
        assert found
        address = found.group()
        eventually_sync(lambda: _served(address) >= 2, "the metrics show the servers", deadline=60)
        running.send_signal(signal.SIGTERM)
        said, _ = running.communicate(timeout=60)
    assert running.returncode == 130, said
    summary = _summary(out)
    assert not summary["complete"]
    assert summary["runs_done"] >= 1
    assert (out / "report.html").exists()
    first = next(out.glob("runs/startup-*/run.json")).stat().st_mtime_ns
    with _command(str(plan), out) as running:
        said, _ = running.communicate(timeout=100)
    assert running.returncode in {0, 1}, said
    assert _summary(out)["complete"]
    assert next(out.glob("runs/startup-*/run.json")).stat().st_mtime_ns == first


def test_results_of_another_plan_are_not_mixed(tmp_path: Path) -> None:
    (tmp_path / "something").touch()
    with _command("quick", tmp_path) as running:
        said, _ = running.communicate(timeout=60)
    assert running.returncode == 1
    assert "choose another --out" in said


def _served(address: str) -> float:
    """Server processes that the metrics show."""
    with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310  # it is on loopback
        text = answer.read().decode()
    found = re.search(r'^bench_processes\{role="servers"\} (\S+)', text, re.MULTILINE)
    return float(found.group(1)) if found else 0.0
