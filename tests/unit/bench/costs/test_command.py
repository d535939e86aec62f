"""`python -m bench.costs` from the summary's file to the table."""

import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from bench.costs.__main__ import cli
from bench.costs.errors import ProfilesError
from tests.unit.bench.costs.records import cell, experiment, group, operation, summary


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    """LOGIN twice as slow as trivial's, memory a tenth, and as many processors."""
    small, large = group(memory=10, processors=1), group(memory=100, processors=1)
    found = summary(
        experiment(
            cell("standby/fork", {"LOGIN": operation(20, half=1, failed=3)}, {"servers": small}),
            cell("trivial/spawn", {"LOGIN": operation(10)}, {"servers": large}),
        )
    )
    file = tmp_path / "summary.json"
    file.write_bytes(msgspec.json.encode(found))
    return file


def test_the_total_of_each_profile_is_shown_and_written(measured: Path, tmp_path: Path) -> None:
    file = tmp_path / "costs.json"
    shown = CliRunner().invoke(cli, [str(measured), "--json", str(file)])
    assert shown.exit_code == 0, shown.output
    assert "standby/fork ÷ trivial/spawn" in shown.output
    (result,) = json.loads(file.read_text())
    costs = {each["profile"]["name"]: each for each in result["costs"]}
    operator = costs["operator"]["total"]
    assert operator["value"] == pytest.approx((2 * 0.1 + 0.75 * 1 + 0.25 * 2) / 3)
    assert operator["low"] == pytest.approx((2 * 0.1 + 0.75 * 1 + 0.25 * 1.9) / 3)
    assert set(operator["exact"]) == {"memory", "processors"}
    assert f"{operator['value']:.3f}" in shown.output
    assert costs["operator"]["meaning"].startswith("costs 48.3 % of")


def test_a_profile_that_weighs_what_was_not_measured_says_what(measured: Path) -> None:
    shown = CliRunner().invoke(cli, [str(measured)], env={"COLUMNS": "200"})
    assert "not measured: query_avg, write, logout" in shown.output
    assert "Failed requests" in shown.output


def test_the_example_is_calculated_without_a_summary() -> None:
    shown = CliRunner().invoke(cli, ["--example"])
    assert shown.exit_code == 0, shown.output
    assert "C_total = 2.935; published: 2.93" in shown.output


def test_profiles_of_ones_own(measured: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(
        '[[profile]]\nname = "me"\ntitle = "Me [b]"\nabout = ""\nsource = ""\nweights = { login = 1.0 }\n'
    )
    shown = CliRunner().invoke(cli, [str(measured), "--profiles", str(mine)])
    assert "Me [b]" in shown.output
    assert "costs 2 times what trivial costs" in " ".join(shown.output.split())
    without = CliRunner().invoke(cli, ["--example", "--profiles", str(mine)])
    assert isinstance(without.exception, ProfilesError)


@pytest.mark.parametrize("arguments", [[], ["--example", "SUMMARY"], ["/nowhere/summary.json"]])
def test_a_wrong_command_line(arguments: list[str], measured: Path) -> None:
    arguments = [str(measured) if each == "SUMMARY" else each for each in arguments]
    assert CliRunner().invoke(cli, arguments).exit_code == 2
