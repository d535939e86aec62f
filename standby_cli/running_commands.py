"""`standby restart`, `drain`, `undrain` and `wrappers`: changes to a running platform, made by its supervisor."""

import asyncio
from pathlib import Path
from typing import Final
from urllib.parse import quote

import click

from standby_cli import commands, orders, part_record, running
from standby_cli.commands import say
from standby_cli.layout import Layout
from standby_cli.orders import Done

ALL: Final = "all"
_WRAPPER: Final = click.argument("wrapper")


def _give(state_dir: Path, method: str, *path: str) -> Done:
    """Have the change made, and say what the operator should know about it."""
    layout = Layout(state_dir.absolute())
    running.endpoints_of(layout)
    done = asyncio.run(
        orders.give(layout, method, "/v1/" + "/".join(quote(each, safe="") for each in path))
    )
    for note in done.notes:
        say(f"note: {note}")
    return done


@click.command("restart")
@commands.state_dir
@click.argument("part")
def restart_command(state_dir: Path, part: str) -> None:
    """Start PART anew: routing-manager, haproxy, a wrapper such as w1, or all of them in turn.

    The Routing Manager and HAProxy are replaced without a gap. A wrapper lets its sessions go on up to its drain limit;
    other wrappers take users meanwhile. With a single wrapper new users wait until it is back, so add one before.
    """
    names = [part]
    if part == ALL:
        layout = Layout(state_dir.absolute())
        running.endpoints_of(layout)
        records = reversed(part_record.read(layout.part_records))  # each before what depends on it
        names = [each.name for each in records if each.wanted]
    for name in names:
        say(f"restarting {name}")
        _give(state_dir, "POST", "parts", name, "restart")
        say(f"{name} is ready")


@click.command("drain")
@commands.state_dir
@_WRAPPER
def drain_command(state_dir: Path, wrapper: str) -> None:
    """Let WRAPPER take no new users, end its sessions within its limit, and leave until `standby undrain`."""
    _give(state_dir, "POST", "parts", wrapper, "drain")
    say(f"{wrapper} is draining")


@click.command("undrain")
@commands.state_dir
@_WRAPPER
def undrain_command(state_dir: Path, wrapper: str) -> None:
    """Bring WRAPPER back after `standby drain`, once it has left."""
    _give(state_dir, "POST", "parts", wrapper, "undrain")
    say(f"{wrapper} is ready")


@click.group("wrappers")
def wrappers_commands() -> None:
    """Run more wrappers, or fewer, while the platform runs."""


@wrappers_commands.command("add")
@commands.state_dir
def add_command(state_dir: Path) -> None:
    """Run one more wrapper, with a pool like those of the others; prints its id."""
    click.echo(_give(state_dir, "POST", "wrappers").part)


@wrappers_commands.command("remove")
@commands.state_dir
@_WRAPPER
def remove_command(state_dir: Path, wrapper: str) -> None:
    """Drain WRAPPER, and know it no more once it has left."""
    _give(state_dir, "DELETE", "wrappers", wrapper)
    say(f"{wrapper} has left")
