"""What `python -m lb_lua` does before it becomes HAProxy, and what it says when it cannot."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from standby.exit_codes import EXIT_CONFIG
from standby.processes import reserve_port
from tests.support.balancer import balancer


def run(**environ: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LB_LUA_")}
    return subprocess.run(
        [sys.executable, "-m", "lb_lua"],
        env=clean | environ,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_the_process_becomes_haproxy_and_ends_with_its_signal(tmp_path: Path) -> None:
    with balancer(tmp_path / "run", static_map=tmp_path / "users.map") as lb:
        assert Path(f"/proc/{lb.process.pid}/comm").read_text().strip() == "haproxy"
        assert stat.S_IMODE(lb.settings.config_file.stat().st_mode) == 0o600
        assert stat.S_IMODE(lb.settings.admin_socket.stat().st_mode) == 0o600
        lb.process.terminate()
        assert lb.process.wait(timeout=5) == -signal.SIGTERM


def test_it_starts_again_in_the_same_directory_after_a_kill(tmp_path: Path) -> None:
    for _ in range(2):
        with balancer(tmp_path / "run", static_map=tmp_path / "users.map") as lb:
            lb.process.kill()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"LB_LUA_ROUTING_MANAGER_PORT": ""}, "LB_LUA_ROUTING_MANAGER_PORT"),
        ({"LB_LUA_HAPROXY": "no-such-program"}, "install HAProxy"),
        ({"LB_LUA_MAX_CONNECTIONS": "900000"}, "ulimit"),
        ({"LB_LUA_HOST": "not an address"}, "HAProxy refuses the configuration"),
        ({"LB_LUA_PORT": "0"}, "LB_LUA_PORT"),
    ],
)
def test_settings_that_cannot_work_have_an_exit_status_of_their_own(
    tmp_path: Path, changes: dict[str, str], complaint: str
) -> None:
    with reserve_port() as reserved:
        usable = {
            "LB_LUA_PORT": str(reserved.getsockname()[1]),
            "LB_LUA_RUNTIME_DIR": str(tmp_path / "run"),
            "LB_LUA_ROUTING_MANAGER_PORT": "1",
        }
        done = run(**(usable | changes))
    assert done.returncode == EXIT_CONFIG
    assert complaint in done.stderr
