"""Commands import what they need and not what others need: that is most of the time that a command takes."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import click
import pytest

from standby_cli.main import cli

HTTP, SERVING, CERTIFICATES, EVIDENCE = "aiohttp", "aiohttp.web", "cryptography.x509", "dcap_qvl"
DATABASES, TABLES, LOOP = "sqlcipher3", "rich", "asyncio"
ALL: Final = frozenset({HTTP, SERVING, CERTIFICATES, EVIDENCE, DATABASES, TABLES, "uvloop"})
_RUN: Final = """
import json, sys
from standby_cli.main import main
sys.argv[0] = "standby"
try:
    main()
except SystemExit:
    pass
json.dump(sorted(sys.modules), open("modules.json", "w"))
"""


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (["--help"], set()),
        (["--version"], set()),
        (["nonsense"], set()),
        (["up", "--help"], set()),
        (["down"], {LOOP}),
        (["status"], {LOOP, HTTP}),
        (["restart", "w1"], {LOOP, HTTP}),
        (["wrappers", "--help"], {LOOP, HTTP}),
        (["enroll", "--help"], {LOOP, CERTIFICATES, EVIDENCE, DATABASES}),
        (["audit", "--help"], {CERTIFICATES}),
        (["volumes", "--help"], {TABLES}),
    ],
    ids=lambda words: " ".join(sorted(words)) if isinstance(words, set) else " ".join(words),
)
def test_a_command_imports_nothing_that_only_others_need(
    arguments: list[str], needed: set[str], tmp_path: Path
) -> None:
    state_dir = ["--state-dir", "state"] if arguments[0] in {"down", "status", "restart"} else []
    subprocess.run(
        [sys.executable, "-c", _RUN, *arguments, *state_dir],
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
        check=True,
    )
    imported = set(json.loads((tmp_path / "modules.json").read_text()))
    assert (ALL | {LOOP}) & imported <= needed


@pytest.mark.parametrize("name", cli.list_commands(click.Context(cli)))
def test_each_place_has_the_command_of_that_name(name: str) -> None:
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    assert found.name == name


def test_the_help_names_every_command_in_a_line() -> None:
    help_text = cli.get_help(click.Context(cli))
    for name in cli.list_commands(click.Context(cli)):
        assert f"\n  {name} " in help_text


def test_a_command_that_there_is_none_of_is_wrong_usage() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "standby_cli", "rocket"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "No such command 'rocket'" in done.stderr
    assert "Traceback" not in done.stderr
