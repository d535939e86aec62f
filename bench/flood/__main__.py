"""`python -m bench.flood`: flood a platform in each way, print how long its users waited.

Exit status: 0 measured, whatever the figures; 1 a measurement failed; 2 the command line is wrong; 130 interrupted.
"""

import asyncio
from pathlib import Path
from typing import Final

import click
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from bench import machine
from bench.flood.strangers import Came, Flood, Kind, flooding
from bench.flood.users import Waits, timed
from bench.micro.stage import staged
from bench.platform import ONE_SOURCE
from bench.spread import Spread, spread
from standby_cli import commands

_CONNECTIONS: Final = {Kind.NAMES: 4_100, Kind.IDLE: 9_000, Kind.TRICKLE: 4_100, Kind.CHURN: 200}
_SOURCES: Final = (1, 16)
_ENVIRON: Final = {"APP_WRAPPER_LAUNCHER": "fork", **dict.fromkeys(ONE_SOURCE, "")}
"""Servers that are replaced quickly, and the load balancer's own budgets."""


class Wait(Struct, frozen=True, kw_only=True):
    """Of one user."""

    seconds: Spread
    failed: int

    @classmethod
    def of(cls, waits: Waits) -> "Wait":
        return cls(seconds=spread(waits.seconds), failed=waits.failed)


class Measured(Struct, frozen=True, kw_only=True):
    """During one flood."""

    users: dict[str, Wait]
    strangers: Came
    log_bytes: int
    """Of HAProxy's log."""


class Result(Struct, frozen=True, kw_only=True):
    versions: dict[str, str]
    machine: dict[str, str | int | float]
    floods: dict[str, Measured]


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--seconds",
    type=click.FloatRange(1, 3600),
    default=30.0,
    show_default=True,
    help="Of each flood.",
)
@click.option(
    "--only",
    type=click.Choice([each.value for each in Kind]),
    multiple=True,
    help="Only these floods.",
)
@click.option(
    "--pool",
    type=click.IntRange(2, 200),
    default=8,
    show_default=True,
    help="Server processes.",
)
@commands.json_file
def cli(seconds: float, only: tuple[str, ...], pool: int, json_file: Path | None) -> None:
    """Flood a platform with connections without a certificate and time its users."""
    kinds = [Kind(name) for name in only] or list(Kind)
    floods = {
        f"{kind} from {sources}": Flood(kind, _CONNECTIONS[kind], sources)
        for kind in kinds
        for sources in _SOURCES
    }
    progress = Console(stderr=True)
    measured: dict[str, Measured] = {}
    with commands.terminable():
        for name, flood in ({"none": Flood(Kind.IDLE, 0)} | floods).items():
            measured[name] = _measure(flood, seconds, pool)
            _show({name: measured[name]}, progress)
    if json_file:
        result = Result(versions=machine.versions(), machine=machine.facts(), floods=measured)
        commands.write_json(result, json_file)
    _show(measured, Console())


def _measure(flood: Flood, seconds: float, pool: int) -> Measured:
    with staged(["--pool-size", str(pool)], ["anna", "bert"], _ENVIRON) as stage:
        log = stage.layout.log("haproxy")
        before = log.stat().st_size
        came = Came()
        waits = asyncio.run(timed(stage, seconds, flooding(flood, stage.running.lb.port, came)))
        return Measured(
            users={name: Wait.of(each) for name, each in waits.items()},
            strangers=came,
            log_bytes=log.stat().st_size - before,
        )


def _show(measured: dict[str, Measured], console: Console) -> None:
    headings = (
        "strangers",
        "opened",
        "at once",
        "user",
        "tries",
        "failed",
        "p50 s",
        "max s",
        "log kB",
    )
    table = Table(*headings, box=None)
    for flood, each in measured.items():
        came = str(each.strangers.opened), str(each.strangers.most)
        for user, wait in each.users.items():
            tries = wait.seconds.count + wait.failed
            waited = _seconds(wait.seconds.p50), _seconds(wait.seconds.max)
            table.add_row(
                *(flood, *came, user, str(tries), str(wait.failed), *waited),
                f"{each.log_bytes / 1000:.0f}",
            )
    console.print(table)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


if __name__ == "__main__":
    commands.run(cli, "python -m bench.flood")
