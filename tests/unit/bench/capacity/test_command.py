"""`python -m bench.capacity` from the options to table, data and page."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.capacity.__main__ import cli

ASKED = ["--users", "10000", "--active-ratio", "0.01", "--arrivals", "0.17", "--recycle", "0.014"]


def test_the_table_the_data_and_the_page_agree(tmp_path: Path) -> None:
    data, page = tmp_path / "size.json", tmp_path / "size.html"
    shown = CliRunner().invoke(cli, [*ASKED, "--json", str(data), "--html", str(page)])
    assert shown.exit_code == 0, shown.output
    found = json.loads(data.read_text())
    assert found["demand"]["users"] == 10_000
    assert found["sizing"]["standby"]["servers"] == 125
    said = "A pool of 125 servers on 1 node: 99.5 % less memory than trivial."
    assert said in shown.output
    assert said in page.read_text(encoding="utf-8")


def test_where_trivial_needs_less_memory_the_command_says_so() -> None:
    arguments = [*ASKED, "--active-ratio", "1", "--trivial-memory", "5"]
    shown = CliRunner().invoke(cli, arguments, env={"COLUMNS": "200"})
    assert "2.47 times the memory of trivial, which is the better choice here" in shown.output


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        [*ASKED, "--active-ratio", "2"],
        [*ASKED, "--arrivals", "0"],
        [*ASKED, "--users", "many"],
        [*ASKED, "--json", "/nowhere/size.json"],
        [*ASKED, "--html", "/nowhere/size.html"],
    ],
)
def test_a_wrong_command_line(arguments: list[str]) -> None:
    shown = CliRunner().invoke(cli, arguments)
    assert shown.exit_code == 2
    assert "Error: " in shown.output
