"""`standby url`."""

from pathlib import Path

import click

from standby_cli import address, commands, running
from standby_cli.echo import echo
from standby_cli.layout import Layout


@click.command("url")
@commands.state_dir
@click.option("--port", "only_port", is_flag=True, help="Print the port alone.")
def url_command(state_dir: Path, *, only_port: bool) -> None:
    """Print where clients connect; the platform must be up."""
    found = running.endpoints_of(Layout(state_dir.absolute())).lb
    echo(str(found.port) if only_port else address.url_of(found))
