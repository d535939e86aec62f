"""`standby demo`."""

import sys
from pathlib import Path

import click

from standby.approach import Approach
from standby_cli import commands, terminal
from standby_cli.demo import scenario
from standby_cli.demo.main import run_demo


@click.command("demo")
@commands.json_file
@click.option(
    "--users",
    type=click.IntRange(2, 200),
    default=scenario.USERS,
    show_default=True,
    help="Customers, each with a meter.",
)
@click.option(
    "--pool-size",
    type=click.IntRange(1, 200),
    default=scenario.POOL,
    show_default=True,
    help="Standby servers; fewer than users.",
)
@commands.approach
def demo_command(json_file: Path | None, users: int, pool_size: int, approach: str) -> None:
    """Run the whole platform on six days of real meter readings, and check every answer."""
    if approach == Approach.STANDBY and pool_size >= users:
        raise click.UsageError("the demo shows a pool that is smaller than the number of users")
    plan = scenario.Plan(users=users, pool_size=pool_size, approach=Approach(approach))
    if not run_demo(plan, json_file, terminal.console(stderr=True), terminal.console()):
        sys.exit(1)
