"""`python -m bench.costs SUMMARY.json`: what standby costs, where trivial costs 1.

Exit status: 0 calculated; 1 a file cannot be used or holds nothing to compare; 2 the command line is wrong; 130
interrupted.
"""

from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console

from bench.costs import alphas, files, model, report
from bench.costs.errors import ProfilesError
from bench.costs.model import Example, Profile
from standby_cli import commands

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("summary", type=_FILE, required=False)
@click.option(
    "--profiles",
    type=_FILE,
    default=files.PROFILES,
    help="Who weighs what; without it the profiles of this platform.",
)
@click.option("--example", is_flag=True, help="Calculate published examples instead of a summary.")
@commands.json_file
def cli(summary: Path | None, profiles: Path, json_file: Path | None, *, example: bool) -> None:
    """What standby costs where trivial costs 1, by who weighs what.

    SUMMARY is the summary.json of `python -m bench.experiment`.
    """
    if example == bool(summary):
        raise click.UsageError("give either a SUMMARY or --example")
    known = files.read_profiles(profiles)
    result: Sequence[report.Costs | report.ExampleCost] = (
        _measured(summary, known.profile) if summary else _examples(known.example)
    )
    if not result:
        raise ProfilesError(f"{profiles}: there is no [[example]]")
    if json_file:
        commands.write_json(result, json_file)
    console = Console()
    for number, each in enumerate(result):
        if number:
            console.print()
        report.show(each, console)


def _measured(summary: Path, profiles: Sequence[Profile]) -> list[report.Costs]:
    compared = alphas.compare(files.read_summary(summary))
    return [report.costs(each, profiles) for each in compared]


def _examples(examples: Sequence[Example]) -> list[report.ExampleCost]:
    return [
        report.ExampleCost(example=each, total=model.total(each, each.alphas)) for each in examples
    ]


if __name__ == "__main__":
    commands.run(cli, "python -m bench.costs")
