"""`python -m bench.faults`.

Exit status: 0 no wrong was found; 1 wrongs were found, or the run failed; 2 the command line is wrong; 130 interrupted.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bench.faults import report
from bench.faults.place import Options, Place
from bench.faults.report import Result
from bench.faults.run import Tick, run
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
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    help="Keep histories, logs and databases in this directory, which must be new or empty.",
)
def cli(
    seconds: float, users: int, pool: int, seed: int, json_file: Path | None, keep: Path | None
) -> None:
    """Kill and stop the parts of a platform while real clients use it.

    Afterwards every database is compared with what was acknowledged.

    Ctrl-C ends the faults early; what happened until then is compared as ever. A second one ends it all at once.
    """
    if keep and len(str(keep.absolute()).split()) != 1:
        raise click.UsageError(f"{keep.absolute()}: servers cannot be told a path with a space")
    if keep and keep.exists() and any(keep.iterdir()):
        raise click.UsageError(f"{keep} is not empty")
    progress = Console(stderr=True)
    options = Options(seconds, users, pool, seed)
    with _directory(keep) as root, commands.terminable(), _bar(seconds, progress) as tick:
        place = Place(root)
        place.make()
        result = run(options, place, lambda text: progress.print(text, highlight=False), tick)
    if json_file:
        commands.write_json(result, json_file)
    report.show(result, Console())
    sys.exit(_status(result))


def _status(result: Result) -> int:
    if not result.ok:
        return 1
    return commands.INTERRUPTED if result.interrupted else 0


@contextmanager
def _directory(keep: Path | None) -> Iterator[Path]:
    """Where the run's files lie: kept if asked for, or else removed at the end. As /proc names it, without links."""
    if keep is not None:
        yield keep.resolve()
        return
    root = Path(tempfile.mkdtemp(prefix="standby-faults-"))
    try:
        yield root.resolve()
    finally:
        shutil.rmtree(root)


@contextmanager
def _bar(seconds: float, console: Console) -> Iterator[Tick]:
    """The time left, when somebody looks."""
    columns = (
        TextColumn("faults"),
        BarColumn(),
        TextColumn("{task.fields[faults]} so far"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=seconds, faults=0, visible=False)
        yield lambda passed, faults: bar.update(
            task, completed=passed, faults=faults, visible=passed < seconds
        )


if __name__ == "__main__":
    commands.run(cli, "python -m bench.faults")
