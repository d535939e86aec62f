"""`python -m bench.faults`.

Exit status: 0 no wrong was found; 1 wrongs were found, or the run failed; 2 the command line is wrong;
3 inconclusive: too few faults or too little traffic; 130 interrupted.
"""

import sys
from pathlib import Path

import click
from rich.console import Console

from bench import evidence, progress
from bench.faults import report
from bench.faults.conditions import Judgement
from bench.faults.place import Options, Place
from bench.faults.run import run
from standby_cli import commands


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--seconds",
    type=click.FloatRange(1, 86_400),
    default=60.0,
    show_default=True,
    help="How long faults happen; starting, the last LOGINs and the comparison come on top.",
)
@click.option(
    "--users",
    type=click.IntRange(1, 500),
    default=8,
    show_default=True,
    help="Each with a meter and a customer.",
)
@click.option(
    "--pool",
    type=click.IntRange(1, 200),
    default=4,
    show_default=True,
    help="Server processes of each of the two wrappers.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of the plan of faults.")
@commands.json_file
@evidence.keep
def cli(
    seconds: float, users: int, pool: int, seed: int, json_file: Path | None, keep: Path | None
) -> None:
    """Kill, stop and end the parts of a platform while real clients use it and a stranger floods it.

    Afterwards every database is compared with what was acknowledged.

    Ctrl-C ends the faults early; what happened until then is compared as ever. A second one ends it all at once.
    """
    console = Console(stderr=True)
    options = Options(seconds, users, pool, seed)
    with (
        evidence.directory(keep, "standby-faults-") as root,
        commands.terminable(),
        progress.shown(seconds, "faults", console) as tick,
    ):
        place = Place(root)
        place.make()
        result = run(options, place, lambda text: console.print(text, highlight=False), tick)
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
    commands.run(cli, "python -m bench.faults")
