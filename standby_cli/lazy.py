"""A group of commands that imports a command's module when the command is called, and no earlier.

All commands together import a second of a processor's work (HTTP, cryptography, verifying of evidence), and each needs
a part of it. So what the group's `--help` says of a command is given with the command's place.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

import click


class Place(NamedTuple):
    """Where a command is."""

    module: str
    name: str
    """Of the command in its module."""
    summary: str
    """What it does, in one line."""

    def command(self) -> click.Command:
        """Import it."""
        found = getattr(import_module(self.module), self.name)
        if not isinstance(found, click.Command):
            raise TypeError(f"{self.module}.{self.name} is no command")
        return found


class LazyGroup(click.Group):
    """Knows the names and places of its commands."""

    def __init__(self, *arguments: Any, places: Mapping[str, Place], **keywords: Any) -> None:  # noqa: ANN401  # click's own
        super().__init__(*arguments, **keywords)
        self.places = places

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return sorted(self.places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's signature
        place = self.places.get(cmd_name)
        return place and place.command()

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, self.places[name].summary) for name in self.list_commands(ctx)]
            )
