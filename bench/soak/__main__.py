"""`python -m bench.soak`.

Exit status: 0 nothing grows; 1 something grows, or failed, or the run did; 2 the command line is wrong;
3 inconclusive: too few readings or sessions; 130 interrupted, and nothing grew until then.
"""

import sys
from pathlib import Path

import click
from rich.console import Console

from bench import evidence, progress
from bench.soak import report
from bench.soak.report import Judgement
from bench.soak.run import Options, run
from standby_cli import commands


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--minutes",
    type=click.FloatRange(0.1, 10_000),
    default=10.0,
    show_default=True,
    help="How long; starting and ending take about half a minute more.",
)
@click.option(
    "--users",
    type=click.IntRange(1, 500),
    default=8,
    show_default=True,
    help="Each with a meter and a customer.",
)
@click.option(
    "--wrappers", type=click.IntRange(1, 20), default=2, show_default=True, help="App Wrappers."
)
@click.option(
    "--pool",
    type=click.IntRange(1, 200),
    default=4,
    show_default=True,
    help="Server processes of each wrapper.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of what clients do.")
@commands.json_file
@evidence.keep
def cli(
    minutes: float,
    users: int,
    wrappers: int,
    pool: int,
    seed: int,
    json_file: Path | None,
    keep: Path | None,
) -> None:
    """Use a platform for a long time, with a stranger at its door, and see whether anything grows.

    Memory, descriptors, threads and log bytes of every part, and the files of the state directory.

    Ctrl-C ends the soak early; what was measured until then is judged as ever. A second one ends it all at once.
    """
    console = Console(stderr=True)
    options = Options(minutes * 60, users, pool, wrappers, seed)
    with (
        evidence.directory(keep, "standby-soak-") as root,
        commands.terminable(),
        progress.shown(options.seconds, "sessions", console) as tick,
    ):
        result = run(options, root, lambda text: console.print(text, highlight=False), tick)
    if json_file:
        commands.write_json(result, json_file)
    report.show(result, progress.wide())
    sys.exit(
        evidence.exit_status(
            failed=result.judgement is Judgement.FAILED,
            interrupted=result.interrupted,
            inconclusive=result.judgement is Judgement.INCONCLUSIVE,
        )
    )


if __name__ == "__main__":
    commands.run(cli, "python -m bench.soak")
