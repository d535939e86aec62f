"""`standby status`."""

import asyncio
from pathlib import Path

import click
import msgspec

from standby_cli import commands, overview, part_record, running
from standby_cli.control import control
from standby_cli.errors import PartAwayError
from standby_cli.layout import Layout


@click.command("status")
@commands.state_dir
@click.option("--json", "as_json", is_flag=True, help="The same as data.")
@click.option("-v", "--verbose", is_flag=True, help="Also each server's attestation and hardening.")
def status_command(state_dir: Path, *, as_json: bool, verbose: bool) -> None:
    """Show every server process, its state and its user; while a part is away (exit status 7) what the others know."""
    layout = Layout(state_dir.absolute())
    endpoints, records = running.endpoints_of(layout), part_record.read(layout.part_records)

    async def main() -> overview.Status:
        async with control() as calls:
            return await overview.collect(endpoints, calls, records)

    found = asyncio.run(main())
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        _show(found, layout, verbose=verbose)
    if found.away:
        raise PartAwayError("; ".join(found.away))


def _show(found: overview.Status, layout: Layout, *, verbose: bool) -> None:
    from standby_cli import kept_policy, status, terminal  # noqa: PLC0415  # data need no tables

    installed = kept_policy.is_installed(layout.policy)
    status.show(found, terminal.console(), verbose=verbose, installed=installed)
