"""`standby up` looks at everything before it starts anything, and says in one sentence what cannot work.

Each of these once started a platform that then failed slowly, blamed another part, or ran as was not meant.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from standby.exit_codes import EXIT_CONFIG
from standby.processes import reserve_port
from tests.support.platform import command, platform

pytestmark = pytest.mark.timeout(600)
_OFF = ("--attestation", "off")
"""What servers are plays no part here, and a platform starts sooner."""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives files away and mounts")


def _refused(done: "subprocess.CompletedProcess[str]", state: Path) -> str:
    """The sentence; nothing else was said, and no part has been started."""
    assert done.returncode == EXIT_CONFIG, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("standby: ")
    logs = [each.name for each in state.glob("logs/*") if each.name != "supervisor.log"]
    assert logs == [], "no part was started"
    assert not (state / "endpoints.json").exists()
    return line.removeprefix("standby: ")


@pytest.mark.parametrize("detach", [[], ["--detach"]])
@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"APP_WRAPPER_POOLSIZE": "9"}, "did you mean APP_WRAPPER_POOL_SIZE?"),
        ({"SMARTGRID_MAX_ROW": "9"}, "did you mean SMARTGRID_MAX_ROWS?"),
        ({"SMARTGRID_MAX_ROWS": "0"}, "servers of smartgrid cannot work with their settings"),
        ({"APP_WRAPPER_FIRST_SERVER_UID": "abc"}, "APP_WRAPPER_FIRST_SERVER_UID=abc"),
        ({"SMARTGRID_SESSION_LENGTH": "long"}, "SMARTGRID_SESSION_LENGTH=long"),
        ({"LB_LUA_HAPROXY": "no-such-program"}, "install HAProxy"),
        ({"ROUTING_MANAGER_HOST": "10.0.0.1"}, "ROUTING_MANAGER_HOST has no effect"),
    ],
)
def test_settings(environ: dict[str, str], says: str, detach: list[str], tmp_path: Path) -> None:
    state = tmp_path / "state"
    done = command("up", "--state-dir", state, *detach, environ=environ, check=False)
    assert says in _refused(done, state)


@as_root
@pytest.mark.parametrize("first", ["up", "enroll"])
def test_a_directory_below_one_that_another_account_owns(first: str, tmp_path: Path) -> None:
    state = tmp_path / "theirs" / "state"
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", 12345, 12345)
    more = ("anna", "--role", "customer", "--out", tmp_path / "out") if first == "enroll" else ()
    done = command(first, *more, "--state-dir", state, check=False)
    assert "theirs belongs to uid 12345" in _refused(done, state)
    assert not state.exists()


@as_root
@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("size=1m", "64 MiB and 2000 files do not fit there: No space left on device"),
        ("size=100m,nr_inodes=20", "64 MiB and 2000 files do not fit there: No space"),
        ("ro", "cannot be made there: Read-only file system"),
    ],
)
@pytest.mark.parametrize("detach", [[], ["--detach"]])
def test_a_file_system_that_cannot_hold_it(
    options: str, says: str, detach: list[str], tmp_path: Path
) -> None:
    state = tmp_path / "disk" / "state"
    state.parent.mkdir()
    mount = 'mount -t tmpfs -o "$1" tmpfs "$2" && shift 2 && exec "$@"'
    up = [sys.executable, "-m", "standby_cli", "up", "--state-dir", str(state), *detach]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", mount, "sh", options, str(state.parent), *up],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert says in _refused(done, state)


def test_a_port_that_is_in_use(tmp_path: Path) -> None:
    with reserve_port() as taken:
        port = taken.getsockname()[1]
        done = command("up", "--state-dir", tmp_path / "state", "--port", str(port), check=False)
        assert f"the load balancer cannot have 127.0.0.1:{port}: the port is in use" in _refused(
            done, tmp_path / "state"
        )
        for variable in ("ROUTING_MANAGER_PORT", "APP_WRAPPER_CONTROL_PORT", "LB_LUA_METRICS_PORT"):
            environ = {variable: str(port)}
            done = command("up", "--state-dir", tmp_path / "state", environ=environ, check=False)
            assert f"in use; end the program that has it, or choose another one ({variable})" in (
                _refused(done, tmp_path / "state")
            )


def test_a_second_platform_on_the_same_port(tmp_path: Path) -> None:
    with platform(tmp_path / "first", "--pool-size", "1", *_OFF) as running:
        state, port = tmp_path / "second", str(running.port)
        done = command("up", "--state-dir", state, "--port", port, *_OFF, check=False)
        assert "the port is in use" in _refused(done, state)


@pytest.mark.parametrize("damage", ["garbage", "directory", "another one's"])
@pytest.mark.parametrize("name", ["parts-ca.pem", "servers-ca-key.pem"])
def test_certificates_that_cannot_be_used_are_named(damage: str, name: str, tmp_path: Path) -> None:
    state = tmp_path / "state"
    command("enroll", "anna", "--role", "customer", "--state-dir", state, "--out", tmp_path / "a")
    file = state / "pki" / name
    if damage == "another one's":
        shutil.copy(
            state / "pki" / name.replace("parts", "users").replace("servers", "users"), file
        )
    else:
        file.unlink()
        file.mkdir() if damage == "directory" else file.write_text("garbage")
    done = command("up", "--state-dir", state, *_OFF, check=False)
    assert done.returncode not in {0, 5}
    assert "Traceback" not in done.stderr
    assert str(file) in done.stderr.splitlines()[-1]
