"""The command line of `standby up`, as far as nothing has to be started for it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from app_wrapper.settings import Attestation
from standby.approach import Approach
from standby_cli import foreground, up_command
from standby_cli.layout import Layout
from standby_cli.options import Options


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "policy.toml"
    file.write_text("version = 0")
    return file


def _up(tmp_path: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "standby_cli", "up", "--state-dir", str(tmp_path / "state")]
    return subprocess.run(
        [*command, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("detach", [[], ["--detach"]])
def test_a_policy_that_is_none_ends_the_start_with_its_fault(
    detach: list[str], tmp_path: Path, file: Path
) -> None:
    done = _up(tmp_path, "--policy", str(file), *detach)
    assert done.returncode == 1
    assert f"standby: cannot use {file}" in done.stderr
    assert "ready" not in done.stderr
    assert not Layout(tmp_path / "state").policy.exists()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_before_the_platform_is_ready_is_no_success(
    number: signal.Signals, status: int, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "standby_cli", "up", "--state-dir", str(tmp_path / "state")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        assert process.stderr.readline() == "measuring the servers' program\n"
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == status
    assert "ready: " not in said
    assert "Traceback" not in said


@pytest.mark.parametrize("ready", [True, False])
def test_what_counts_is_whether_it_was_ready_when_the_first_signal_came(*, ready: bool) -> None:
    end = foreground._End()
    end.ready = ready
    end.ask(signal.SIGTERM)
    end.ready = True
    end.ask(signal.SIGINT)
    assert end.asked.is_set()
    assert end.early == (None if ready else signal.SIGTERM)


@pytest.mark.parametrize("detach", [[], ["--detach"]])
def test_a_seal_key_that_is_gone_ends_the_start(detach: list[str], tmp_path: Path) -> None:
    layout = Layout(tmp_path / "state")
    layout.make()
    (layout.pki / "users-ca-key.pem").write_bytes(b"sealed")
    done = _up(tmp_path, *detach)
    assert done.returncode == 1
    assert f"standby: the seal key {layout.seal_key} is gone" in done.stderr


def test_a_policy_without_attestation_is_a_wrong_command_line(tmp_path: Path, file: Path) -> None:
    done = _up(tmp_path, "--policy", str(file), "--attestation", "off")
    assert done.returncode == 2
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("arguments", "environ", "expected"),
    [
        ([], {}, Attestation.SOFT_DCAP),
        ([], {"APP_WRAPPER_ATTESTATION": "off"}, Attestation.OFF),
        (["--attestation", "scone-cas"], {"APP_WRAPPER_ATTESTATION": "off"}, Attestation.SCONE_CAS),
    ],
)
def test_attestation_is_on_unless_somebody_says_otherwise(
    arguments: list[str], environ: dict[str, str], expected: Attestation
) -> None:
    given = {**dict.fromkeys(["APP_WRAPPER_ATTESTATION", "APP_WRAPPER_POLICY"], ""), **environ}
    runner = CliRunner(env={name: text or None for name, text in given.items()})
    with runner.isolation():
        context = up_command.up_command.make_context("up", arguments)
    assert context.params["attestation"] == expected.value


def test_a_supervisor_in_the_background_gets_the_same_options(tmp_path: Path, file: Path) -> None:
    options = Options(
        Approach.ON_DEMAND,
        3,
        2,
        "127.0.0.2",
        4433,
        Attestation.GRAMINE_DCAP,
        Path(os.path.relpath(file)),
    )
    arguments = up_command._arguments(options, Layout(tmp_path / "state"))
    given = up_command.up_command.make_context("up", arguments).params
    assert given["policy"].is_absolute()
    assert given["policy"].resolve() == file
    assert given["attestation"] == Attestation.GRAMINE_DCAP
    assert given["state_dir"] == tmp_path / "state"
    assert (given["approach"], given["host"], given["port"]) == ("on-demand", "127.0.0.2", 4433)
    assert (given["pool_size"], given["wrappers"]) == (3, 2)
