"""The benchmark of costs runs, and measures what its goals ask for; its figures are not looked at."""

import json
import subprocess
import sys
from pathlib import Path

from bench.micro.goals import judge

_PARTS = {
    "recycle": ["recycle_ms"],
    "routing": ["route_ratio.first", "route_ratio.reconnect"],
    "database": ["long_write_ratio", "query_avg.times_faster", "query_avg.max_relative_error"],
}


def test_short_measurements_give_every_figure_their_goals_need(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    only = [text for part in _PARTS for text in ("--only", part)]
    done = subprocess.run(
        [sys.executable, "-m", "bench.micro", "--quick", *only, "--json", str(file)],
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(file.read_text())
    assert result["quick"] is True
    assert {"machine", "versions"} <= result.keys()
    measured = {each.key for each in judge(result) if each.value is not None}
    assert measured == {key for keys in _PARTS.values() for key in keys}
    assert result["query_avg"]["max_relative_error"] <= 1e-9
    assert "not measured" in done.stdout
