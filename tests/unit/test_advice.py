"""What texts of the product tell people to type can be typed: each command, option and variable in them exists."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import click

from smartgrid_client.main import main as client
from standby_cli.main import cli

_ROOT: Final = Path(__file__).parents[2]
_PACKAGES: Final = (
    "standby",
    "attestation",
    "routing_manager",
    "app_wrapper",
    "lb_lua",
    "smartgrid_server",
    "smartgrid_client",
    "standby_cli",
)
_COMMAND: Final = re.compile(r"(?:`|\()standby ([a-z][^`)…]*)")
_OPTION: Final = re.compile(r"(?<![\w-])--[a-zA-Z][a-zA-Z-]+")
_VARIABLE: Final = re.compile(
    r"\b(?:STANDBY|ROUTING_MANAGER|APP_WRAPPER|LB_LUA|SMARTGRID)(?:_[A-Z]+)+\b"
)
_OTHERS: Final = ("attestation/scone/", "attestation/measure/")
"""Texts of another command, and about the options of another program."""
_BETWEEN_PARTS: Final = "_FD"
"""How variables end that parts set for each other."""
_SETTINGS: Final = (_ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")


class Text(NamedTuple):
    """A string of the product; `<>` is what is filled in."""

    place: str
    words: str


def _texts() -> Iterator[Text]:
    for package in _PACKAGES:
        for file in sorted((_ROOT / package).rglob("*.py")):
            name = str(file.relative_to(_ROOT))
            if name.startswith(_OTHERS):
                continue
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if words := _words(node):
                    yield Text(f"{name}:{getattr(node, 'lineno', 0)}", words)


def _words(node: ast.AST) -> str:
    match node:
        case ast.JoinedStr(values=parts):
            return "".join(
                str(each.value) if isinstance(each, ast.Constant) else "<>" for each in parts
            )
        case ast.Constant(value=str(text)):
            return text
        case _:
            return ""


def _commands(group: click.Command, name: str = "") -> Iterator[tuple[str, click.Command]]:
    yield name, group
    if isinstance(group, click.Group):
        context = click.Context(group)
        for each in group.list_commands(context):
            found = group.get_command(context, each)
            assert found is not None
            yield from _commands(found, f"{name} {each}".strip())


def _options(command: click.Command) -> set[str]:
    return {option for each in command.params for option in (*each.opts, *each.secondary_opts)}


TEXTS: Final = list(_texts())
COMMANDS: Final = dict(_commands(cli))
OPTIONS: Final = _options(client).union(*map(_options, COMMANDS.values()), {"--help", "--name"})
"""`--name` stands for any."""


def test_every_command_that_a_text_names_exists_with_its_options() -> None:
    wrong = [
        f"{text.place}: standby {found}"
        for text in TEXTS
        for found in _COMMAND.findall(text.words)
        if not _exists(found.split())
    ]
    assert not wrong


def _exists(words: list[str]) -> bool:
    names = [" ".join(words[:length]) for length in (2, 1) if len(words) >= length]
    command = next((COMMANDS[each] for each in names if each in COMMANDS), None)
    given = {each.strip(".,;:") for each in words if each.startswith("--")}
    return command is not None and given <= _options(command) | {"--help"}


def test_every_option_that_a_text_names_exists() -> None:
    wrong = [
        f"{text.place}: {found}"
        for text in TEXTS
        for found in _OPTION.findall(text.words)
        if found not in OPTIONS
    ]
    assert not wrong


def test_every_variable_that_a_text_names_is_a_setting() -> None:
    wrong = [
        f"{text.place}: {found}"
        for text in TEXTS
        for found in _VARIABLE.findall(text.words)
        if f"`{found}`" not in _SETTINGS and not found.endswith(_BETWEEN_PARTS)
    ]
    assert not wrong


def test_what_cannot_be_typed_is_noticed() -> None:
    assert _exists(["volumes", "restore", "UID", "--copy", "N"])
    assert not _exists(["volumes", "restore", "UID", "--number", "N"])
    assert not _exists(["enrol", "UID"])
