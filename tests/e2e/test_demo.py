"""`standby demo`, small: every check holds, the data is written, nothing is left behind."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from standby.approach import Approach
from tests.support.platform import command
from tests.support.waiting import eventually_sync


@pytest.mark.parametrize("approach", list(Approach))
def test_the_demo_holds_all_its_checks(tmp_path: Path, approach: Approach) -> None:
    file = tmp_path / "demo.json"
    arguments = ["demo", "--users", "3", "--pool-size", "2", "--approach", approach]
    done = command(*arguments, "--json", file, environ={"TMPDIR": str(tmp_path)}, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(file.read_text())
    assert result["ok"]
    assert all(each["ok"] for each in result["checks"])
    assert result["operations"]["LONG_WRITE"]["count"] >= 144 + 48 + 12
    assert not list(tmp_path.glob("standby-demo-*"))


def test_an_interrupted_demo_leaves_nothing(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "standby_cli", "demo"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"TMPDIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
        # whoever runs the tests in the background ignores Ctrl-C, and a child would inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    try:
        eventually_sync(
            lambda: list(tmp_path.glob("standby-demo-*/state/endpoints.json")),
            "the demo's platform is up",
            deadline=60,
        )
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    finally:
        process.kill()
        process.wait()
    assert not list(tmp_path.iterdir())
    assert not [
        path
        for path in Path("/proc").glob("[0-9]*/environ")
        if str(tmp_path).encode() in _read(path)
    ]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
