"""`python -m bench.micro`: measure everything, print the table of goals.

Exit status: 0 measured, whatever the figures; 1 a measurement failed; 2 the command line is wrong; 130 interrupted.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from rich.console import Console
from rich.table import Table

from bench import machine
from bench.micro import (
    attestation,
    database,
    goals,
    login,
    manager,
    memory,
    recycle,
    refill,
    routing,
)
from bench.micro.stage import FULL, QUICK, Scale
from standby_cli import commands

PARTS: Final[dict[str, Callable[[Scale], Any]]] = {
    "recycle": recycle.measure,
    "memory": memory.measure,
    "routing": routing.measure,
    "manager": manager.measure,
    "login": login.measure,
    "database": database.measure,
    "refill": refill.measure,
    "attestation": attestation.measure,
}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--quick", is_flag=True, help="Little of everything; figures that mean little.")
@click.option("--only", type=click.Choice(list(PARTS)), multiple=True, help="Only these parts.")
@commands.json_file
def cli(json_file: Path | None, only: tuple[str, ...], *, quick: bool) -> None:
    """Measure what standby servers cost, each against its rival, and compare with the goals."""
    progress = Console(stderr=True)
    result: dict[str, Any] = {
        "quick": quick,
        "versions": machine.versions(),
        "machine": machine.facts(),
    }
    names = only or tuple(PARTS)
    with commands.terminable():
        for number, name in enumerate(names, 1):
            progress.print(f"{number} of {len(names)}: {name}")
            result |= msgspec.to_builtins(PARTS[name](QUICK if quick else FULL))
    if json_file:
        commands.write_json(result, json_file)
    _show(goals.judge(result), Console())


def _show(judgements: list[goals.Judgement], console: Console) -> None:
    table = Table(box=None)
    for heading in ("goal", "required", "measured", ""):
        table.add_column(
            heading, justify="right" if heading in {"required", "measured"} else "left"
        )
    for each in judgements:
        if each.value is None:
            table.add_row(each.key, each.required, "", "[dim]not measured[/]")
        else:
            verdict = "[green]pass[/]" if each.met else "[red]miss[/]"
            table.add_row(each.key, each.required, f"{each.value:.4g}", verdict)
    console.print(table)


if __name__ == "__main__":
    commands.run(cli, "python -m bench.micro")
