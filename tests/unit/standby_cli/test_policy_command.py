"""`standby policy lint` and `standby policy show`, from a file to what is printed and the exit status."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from attestation.policy import digest, load
from standby_cli.main import cli

A, B = "a" * 64, "b" * 64
SOUND = f"""\
version = 3
root = "intel"
one_user_per_process = true
maximum_evidence_age_seconds = 600
accepted_tcb = ["UpToDate"]
ignored_advisories = ["INTEL-SA-00615"]

[[variant]]
name = "new"
mrenclave = ["{A}"]

[[variant]]
name = "signed"
signer = {{ mrsigner = "{B}", product_id = 1, minimum_svn = 4 }}
"""
SIMULATED = SOUND.replace('"intel"', '"simulated"')
TESTING = SIMULATED.replace("version", "testing = true\nadmit_debug = true\nversion")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "policy.toml"


def test_a_sound_policy_ends_with_status_0(file: Path) -> None:
    file.write_text(SOUND)
    done = CliRunner().invoke(cli, ["policy", "lint", str(file)])
    assert (done.exit_code, done.stdout) == (0, "")
    assert "nothing to say against it" in done.stderr


def test_an_error_ends_with_status_1(file: Path) -> None:
    file.write_text(SIMULATED.replace("minimum_svn = 4", "minimum_svn = 0"))
    done = CliRunner().invoke(cli, ["policy", "lint", str(file)])
    assert done.exit_code == 1
    error, weak = done.stdout.splitlines()
    assert error.startswith("error: root: SIMULATED")
    assert weak.startswith("warning: variant[1].signer.minimum_svn: ")
    assert weak.endswith("[minimum_svn_zero]")
    assert "1 error(s), 1 warning(s)" in done.stderr


def test_warnings_alone_end_with_status_0(file: Path) -> None:
    file.write_text(TESTING)
    done = CliRunner().invoke(cli, ["policy", "lint", "--json", str(file)])
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert [each["code"] for each in found] == ["testing", "simulated_root", "debug_admitted"]
    assert {each["severity"] for each in found} == {"warning"}


@pytest.mark.parametrize("command", ["lint", "show"])
def test_what_is_no_policy_is_said_in_one_line(command: str, file: Path) -> None:
    file.write_text(SOUND.replace(A, "none"))
    arguments = [sys.executable, "-m", "standby_cli", "policy", command, str(file)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"standby: cannot use {file}: Expected 64 hex digits in lower case"
        " - at `$.variant[0].mrenclave[0]`\n"
    )


def test_a_file_that_does_not_exist_is_a_wrong_command_line(file: Path) -> None:
    assert CliRunner().invoke(cli, ["policy", "lint", str(file)]).exit_code == 2


def test_show_says_all_that_is_admitted(file: Path) -> None:
    file.write_text(SOUND)
    done = CliRunner().invoke(cli, ["policy", "show", str(file)], env={"COLUMNS": "100"})
    assert done.exit_code == 0
    lines = [re.sub(r" {2,}", " | ", line.strip()) for line in done.stdout.splitlines()]
    assert lines[0] == f"version 3, digest {digest(load(file))}"
    for row in (
        "root of trust | Intel's",
        "evidence not older than | 10 min",
        "TCB status one of | UpToDate",
        "advisories ignored | INTEL-SA-00615",
        "advisories refused | any other that is not ignored",
        "debug enclaves | refused",
        f"mrenclave one of | {A}",
        f"mrsigner | {B}",
        "product id | 1",
        "SVN at least | 4",
    ):
        assert row in lines
    assert lines.index("and | new") < lines.index("or | signed")
    assert "SIMULATED" not in done.stdout


def test_show_says_what_is_simulated_or_for_testing(file: Path) -> None:
    file.write_text(
        TESTING.replace(f'mrenclave = ["{A}"]', "").replace('["INTEL-SA-00615"]', '["*"]')
    )
    done = CliRunner().invoke(cli, ["policy", "show", str(file)], env={"COLUMNS": "100"})
    for words in (
        "for testing: evidence that it accepts may be simulated",
        "SIMULATED",
        "nothing is asked",
    ):
        assert words in done.stdout
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["debug", "enclaves", "admitted"] in rows
    assert ["advisories", "ignored", "all"] in rows


def test_a_narrow_terminal_breaks_no_measurement(file: Path) -> None:
    file.write_text(SOUND)
    done = CliRunner().invoke(cli, ["policy", "show", str(file)], env={"COLUMNS": "40"})
    for number in (A, B, digest(load(file))):
        assert number in done.stdout


def test_show_as_data(file: Path) -> None:
    file.write_text(SOUND)
    done = CliRunner().invoke(cli, ["policy", "show", "--json", str(file)])
    shown = json.loads(done.stdout)
    assert shown["digest"] == digest(load(file))
    assert shown["policy"]["variant"][1]["signer"]["minimum_svn"] == 4
