"""What commands print is text: no markup, and nothing that a terminal would obey."""

import ast
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from standby_cli import terminal
from standby_cli.echo import echo

ROOT = Path(__file__).parents[3]
HOSTILE = "[/nope] [bold]x[/] :warning: \x1b[31m \u202e \x9b2J"
SHOWN = r"[/nope] [bold]x[/] :warning: \x1b[31m \u202e \x9b2J"


def _printed(console: Console, *things: object) -> str:
    console.file = io.StringIO()
    for each in things:
        console.print(each, soft_wrap=True)
    return console.file.getvalue()


def test_a_styled_text_is_text() -> None:
    table = Table(box=None)
    table.add_column("said")
    table.add_row(terminal.styled("it said: ", (HOSTILE, "red")))
    printed = _printed(terminal.console(width=200), terminal.styled(HOSTILE), table)
    assert printed.count(SHOWN) == 2


def test_a_plain_string_is_no_markup_on_our_console() -> None:
    assert _printed(terminal.console(width=200), "[/nope] :warning:") == "[/nope] :warning:\n"


def test_lines_keep_our_line_breaks_only(capsys: pytest.CaptureFixture[str]) -> None:
    echo("one\ntwo \x1b[31m\rthree", err=True)
    assert capsys.readouterr().err == "one\ntwo \\x1b[31m\\rthree\n"


def _calls(package: str) -> Iterator[tuple[Path, ast.AST]]:
    for file in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            yield file, node


@pytest.mark.parametrize("package", ["standby_cli", "smartgrid_client"])
def test_no_command_has_a_console_on_which_texts_are_markup(package: str) -> None:
    for file, node in _calls(package):
        match node:
            case ast.ImportFrom(module="rich.markup"):
                pytest.fail(f"{file} writes markup; use standby_cli.terminal.styled")
            case ast.Call(func=ast.Name(id="Console"), keywords=given):
                off = {each.arg for each in given if ast.unparse(each.value) == "False"}
                assert {"markup", "emoji", "highlight"} <= off, file
            case _:
                pass
