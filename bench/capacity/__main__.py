"""`python -m bench.capacity`: the pool for so many users, and what it needs beside the trivial approach.

Exit status: 0 calculated; 1 a file cannot be written; 2 the command line is wrong, or asks for what cannot be; 130
interrupted.
"""

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from bench.capacity import page
from bench.capacity.model import Demand, DemandError, size
from bench.capacity.report import Result, show
from standby_cli import commands

_html_file = click.option(
    "--html",
    "html_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write the result as a page to this file.",
)


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
    epilog="Defaults marked * were measured on one machine, with the launcher `fork` unless it says otherwise "
    "(docs/explanation/performance.md). Measure yours with `make bench`.",
)
@click.option("--users", type=int, required=True, help="All of them.")
@click.option(
    "--active-ratio",
    type=float,
    required=True,
    help="Of the users, how many have a session at the same time: 0.01 is 1 %.",
)
@click.option(
    "--arrivals",
    type=float,
    required=True,
    help="Sessions that begin per second, in the busiest minutes.",
)
@click.option(
    "--recycle", type=float, default=0.0138, help="Seconds from a LOGOUT to a fresh server. *"
)
@click.option(
    "--server-memory",
    type=float,
    default=12.0,
    help="MiB of a server in a session. Not measured: 4.9 while it waits, and 6.6 more after a rehearsed session "
    "(both on that page), rounded up.",
)
@click.option(
    "--waiting-memory", type=float, default=4.9, help="MiB of a server that waits for a user. *"
)
@click.option(
    "--trivial-memory",
    type=float,
    default=30.0,
    help="MiB of a trivial server. * With the launcher `spawn`, before its first session, in favour of trivial.",
)
@click.option(
    "--template-memory",
    type=float,
    default=30.0,
    help="MiB of the process that servers are forked from, one per node; 0 with `spawn`. Not measured: as large as a "
    "spawned server.",
)
@click.option("--node-memory", type=float, default=8192.0, help="MiB of a node, for servers.")
@click.option(
    "--wait-limit",
    type=float,
    default=0.01,
    help="Longest acceptable share of LOGINs that must wait for a server.",
)
@commands.json_file
@_html_file
def cli(json_file: Path | None, html_file: Path | None, **given: Any) -> None:  # noqa: ANN401  # as declared above
    """How large a pool must be, and how many nodes and how much memory it needs beside the trivial approach."""
    try:
        demand = Demand(**given)
    except DemandError as error:
        raise click.UsageError(str(error)) from error
    if html_file and not html_file.absolute().parent.is_dir():
        raise click.UsageError(f"there is no directory {html_file.parent}")
    result = Result(demand=demand, sizing=size(demand))
    if json_file:
        commands.write_json(result, json_file)
    if html_file:
        html_file.write_text(page.render(result), encoding="utf-8")
    show(result, Console())


if __name__ == "__main__":
    commands.run(cli, "python -m bench.capacity")
