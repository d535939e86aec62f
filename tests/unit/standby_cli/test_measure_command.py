"""`standby measure`, from an application's description to a policy that admits it, and what differs later."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner

from app_wrapper import application
from app_wrapper.measuring import LaunchMeter
from app_wrapper.measuring.launch import launch_of
from app_wrapper.settings import LauncherKind
from attestation import policy
from attestation.claims import Claims, Root, TcbStatus
from attestation.measure.interpreter import NO_BYTECODE
from attestation.measure.launch import Launch
from attestation.measure.manifest import Kind
from standby_cli.main import cli
from standby_cli.measure import measured

NOW = 1_000_000.0
APP = """\
name = "tiny"
# without site, so that not everything that is installed for tests is measured
command = ["{python}", "-S", "-m", "tiny"]
template = ["{python}", "-S", "-m", "tiny.template"]
env.set = { TINY_FD = "{fd}", TINY_DIR = "{slot_dir}", TINY_HOME = "{app_dir}" }
env.pass = ["TINY_*"]
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "tiny.py").write_text("print('WAITING_LOGIN')\n")
    (tmp_path / "tiny" / "app.toml").write_text(APP)
    return tmp_path / "tiny" / "app.toml"


def _run(app: Path, *arguments: str, **environ: str) -> str:
    runner = CliRunner()
    done = runner.invoke(cli, ["measure", "--app", str(app), *arguments], env=environ)
    assert done.exit_code == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def _measurement(app: Path, *arguments: str, **environ: str) -> str:
    return str(json.loads(_run(app, "--json", *arguments, **environ))["measurement"])


def _launch(app: Path, how: LauncherKind, environ: Mapping[str, str]) -> Launch:
    return launch_of(application.load(app), app.parent, how, environ).launch


def _claims(mrenclave: str, root: Root = Root.SIMULATED) -> Claims:
    return Claims(
        root=root,
        mrenclave=mrenclave,
        mrsigner="c" * 64,
        product_id=1,
        svn=1,
        debug=False,
        tcb_status=TcbStatus.UP_TO_DATE,
        advisories=(),
        report_data=bytes(64),
        made_at=NOW,
    )


def test_the_policy_admits_what_was_measured_and_nothing_else(app: Path, tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(_run(app))
    made = policy.load(file)
    measurement = _measurement(app)
    assert policy.decide(made, _claims(measurement), NOW).admitted
    assert not policy.decide(made, _claims("d" * 64), NOW).admitted
    assert not policy.decide(made, _claims(measurement, Root.INTEL), NOW).admitted
    assert made.variants[0].mrenclave == (measurement,)


def test_the_servers_of_this_project_are_measured_as_they_are_and_the_policy_is_usable(
    tmp_path: Path,
) -> None:
    file = tmp_path / "policy.toml"
    arguments = [sys.executable, "-m", "standby_cli", "measure"]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    file.write_text(done.stdout)
    linted = CliRunner().invoke(cli, ["policy", "lint", str(file)])
    assert linted.exit_code == 0
    codes = [line.rsplit("[")[-1] for line in linted.stdout.splitlines()]
    assert codes == ["testing]", "simulated_root]"]


def test_every_file_that_a_server_loads_is_measured() -> None:
    done = CliRunner().invoke(cli, ["measure", "--json", "--launcher", "fork"])
    entries = json.loads(done.stdout)["manifest"]["entries"]
    digests = {value for kind, _, value in entries if kind == Kind.FILE}
    look = (
        "import smartgrid_server.main, smartgrid_server.rehearsal, smartgrid_server.template, sys\n"
        "smartgrid_server.rehearsal.rehearse()\n"
        "print(*{getattr(m, '__file__', None) or '' for m in sys.modules.values()}, sep='\\n')\n"
        "print(*{l.split()[5] for l in open('/proc/self/maps') if ' r-xp ' in l and '/' in l}, sep='\\n')"
    )
    environ = {"PATH": os.environ["PATH"], **NO_BYTECODE}
    loaded = subprocess.run(
        [sys.executable, "-c", look], env=environ, capture_output=True, text=True, check=True
    )
    files = [Path(line) for line in loaded.stdout.splitlines() if line.startswith("/")]
    assert len(files) > 400
    assert [
        file for file in files if hashlib.sha256(file.read_bytes()).hexdigest() not in digests
    ] == []


def test_a_changed_byte_is_measured_and_named(app: Path, tmp_path: Path) -> None:
    earlier = tmp_path / "earlier.json"
    earlier.write_text(_run(app, "--json"))
    before = json.loads(earlier.read_text())["measurement"]
    assert _measurement(app) == before
    (app.parent / "tiny.py").write_text("print('WAITING_LOGIN') \n")
    assert _measurement(app) != before
    done = CliRunner().invoke(cli, ["measure", "--app", str(app), "--explain", str(earlier)])
    assert done.exit_code == 1
    (line,) = done.stdout.splitlines()
    assert line.startswith("file app/tiny.py: was ")
    assert done.stderr.endswith(" entries, 1 differ\n")


def test_nothing_to_explain_ends_with_status_0(app: Path, tmp_path: Path) -> None:
    earlier = tmp_path / "earlier.json"
    earlier.write_text(_run(app, "--json", TINY_SETTING="1"))
    runner = CliRunner(env={"TINY_SETTING": "1"})
    done = runner.invoke(cli, ["measure", "--app", str(app), "--explain", str(earlier)])
    assert (done.exit_code, done.stdout) == (0, "")
    done = CliRunner(env={"TINY_SETTING": "2"}).invoke(
        cli, ["measure", "--app", str(app), "--explain", str(earlier)]
    )
    assert (done.exit_code, done.stdout) == (1, "variable TINY_SETTING: was 1, is 2\n")


def test_what_differs_between_two_operators_is_not_measured(app: Path) -> None:
    one = _measurement(app, HOME="/root", TMPDIR="/tmp", OTHERS_SETTING="1")  # noqa: S108  # a value
    assert _measurement(app, HOME="/home/other", TMPDIR="/var/tmp", OTHERS_SETTING="2") == one  # noqa: S108  # a value
    assert _measurement(app, HOME="/root", TINY_SETTING="1") != one


def test_arguments_and_variables_are_measured_before_they_are_filled_in(app: Path) -> None:
    launch = _launch(app, LauncherKind.SPAWN, {"PATH": "/bin", "HOME": "/", "SECRET": "x"})
    assert launch.command == ("{python}", "-S", "-m", "tiny")
    assert launch.variables == {
        "PATH": os.defpath,
        "HOME": "/",
        "TINY_FD": "{fd}",
        "TINY_DIR": "{slot_dir}",
        "TINY_HOME": "{app_dir}",
        "PYTHONPYCACHEPREFIX": "{bytecode}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


@pytest.mark.parametrize("launcher", [LauncherKind.SPAWN, LauncherKind.FORK])
def test_a_wrapper_measures_the_same_wherever_its_state_is(
    app: Path, tmp_path: Path, launcher: LauncherKind
) -> None:
    environ = {"PATH": "/bin", "HOME": "/root", "TINY_SETTING": "1"}
    found = {
        LaunchMeter(app, launcher, environ, bytecode).prepare()
        for bytecode in (tmp_path / "one" / "bytecode", tmp_path / "other" / "bytecode", None)
    }
    assert found == {measured(app, launcher, environ).measurement}


def test_of_servers_that_are_forked_the_template_is_measured(app: Path) -> None:
    launch = _launch(app, LauncherKind.FORK, {})
    assert launch.command == ("{python}", "-S", "-m", "tiny.template")
    forked = _measurement(app, "--launcher", "fork")
    assert forked == _measurement(app)  # what wrappers do, unless they are told otherwise
    assert forked != _measurement(app, "--launcher", "spawn")
    assert _measurement(app, "--launcher", "spawn") == _measurement(
        app, APP_WRAPPER_LAUNCHER="spawn"
    )


def test_measurements_of_two_launchers_are_not_compared(app: Path, tmp_path: Path) -> None:
    earlier = tmp_path / "earlier.json"
    earlier.write_text(_run(app, "--json", "--launcher", "fork"))
    arguments = [sys.executable, "-m", "standby_cli", "measure", "--app", str(app)]
    arguments += ["--launcher", "spawn"]
    done = subprocess.run(
        [*arguments, "--explain", str(earlier)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"standby: {earlier} was measured with --launcher fork\n"
    earlier.write_text("{}")
    done = subprocess.run(
        [*arguments, "--explain", str(earlier)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"standby: {earlier} is not what --json wrote: ")


def test_what_cannot_be_measured_is_said_in_one_line(app: Path) -> None:
    os.mkfifo(app.parent / "pipe")
    done = subprocess.run(
        [sys.executable, "-m", "standby_cli", "measure", "--app", str(app)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (f"standby: {app.parent}/pipe is no file or directory; take it away\n")


@pytest.mark.parametrize("arguments", [["--import", "json"], ["--json", "--explain", __file__]])
def test_options_that_do_not_go_together_are_a_wrong_command_line(arguments: list[str]) -> None:
    assert CliRunner().invoke(cli, ["measure", *arguments]).exit_code == 2


def test_the_applications_entries_have_no_absolute_path(app: Path) -> None:
    entries = json.loads(_run(app, "--json"))["manifest"]["entries"]
    files = [name for kind, name, _ in entries if kind == Kind.FILE]
    assert "app/tiny.py" in files
    assert not any(name.startswith("/") for name in files)
