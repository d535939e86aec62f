"""`standby down`."""

import asyncio
from pathlib import Path

import click

from standby_cli import commands, down
from standby_cli.commands import say
from standby_cli.layout import Layout


@click.command("down")
@commands.state_dir
@click.option("--now", is_flag=True, help="End open sessions at once, as LOGOUT does.")
def down_command(state_dir: Path, *, now: bool) -> None:
    """End the platform; sessions that are open may go on for a short while first."""
    layout = Layout(state_dir.absolute())
    if now:
        asyncio.run(down.end_sessions(layout))
    say("ended" if down.bring_down(layout, say) else "no platform was running")
