"""Where a run's output goes: lines and summary for people, CSV and JSON for programs, never mixed.

What a program reads (`--csv`, or `--json -`) has standard output to itself; what is meant for people then goes to
standard error. What a person has to know about whom the data went to is on standard error in any case.

Texts of a server are shown as texts: no markup, and nothing that a terminal would obey (`standby.text`).
"""

import datetime as dt
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from attestation.claims import Root
from smartgrid_client import chart
from smartgrid_client.admission import NotAdmitted
from smartgrid_client.curve import Curve
from smartgrid_client.delivery import Delivery
from smartgrid_client.messages import Conflict, StoredAlarm
from smartgrid_client.moments import name_of
from smartgrid_client.periods import local
from smartgrid_client.report import (
    CSV_HEADER,
    Summary,
    csv_line,
    csv_row,
    human_line,
    refusal_lines,
)
from smartgrid_client.session import Attempt
from standby.text import visible

STDOUT: Final = Path("-")
SIMULATED: Final = (
    "server attested by a SIMULATED platform: it proves nothing against who runs the machine"
)
UNVERIFIED: Final = (
    "warning: the server is not verified (--insecure-skip-attestation): "
    "whoever runs it can read the key and the data"
)
_CHART_ROWS: Final = 22
_CHART_COLUMNS: Final = 120
"""Wider, the points of a day are too far apart to be a curve."""


@dataclass(slots=True)
class View:
    csv: bool
    json: Path | None
    _simulated_told: bool = field(default=False, init=False)

    @property
    def people(self) -> IO[str]:
        return sys.stderr if self.csv or self.json == STDOUT else sys.stdout

    def begin(self) -> None:
        if self.csv:
            click.echo(csv_line(CSV_HEADER))

    def attempt(self, attempt: Attempt) -> None:
        admitted = attempt.exchange.admitted
        if admitted is not None and admitted.root is Root.SIMULATED and not self._simulated_told:
            self._simulated_told = True
            self.warn(SIMULATED)
        if self.csv:
            click.echo(csv_line(csv_row(attempt)))
            return
        line = visible(human_line(attempt))
        if attempt.failed or attempt.repeated:
            line = click.style(line, fg="red" if attempt.failed else "yellow")
        click.echo(line, file=self.people)

    def summary(self, summary: Summary) -> None:
        """The table for people, and the JSON file if one is wanted.

        Raises:
            OSError: the file cannot be written.
        """
        console = Console(file=self.people, markup=False, emoji=False, highlight=False)
        console.print()
        console.print(_table(summary))
        for line in _notes(summary):
            console.print(Text(visible(line)))
        if self.json is not None:
            data = msgspec.json.format(msgspec.json.encode(summary)) + b"\n"
            if self.json == STDOUT:
                click.echo(data, nl=False)
            else:
                self.json.write_bytes(data)

    def chart(self, drawn: chart.Chart) -> None:
        size = shutil.get_terminal_size()
        width = min(size.columns, _CHART_COLUMNS)
        click.echo(f"\n{chart.terminal(drawn, width, _CHART_ROWS)}", file=self.people)

    def averages(self, curve: Curve) -> None:
        """One line for each bucket."""
        unit, zone = curve.metric.unit, curve.zone
        self.say(f"\nAverage {curve.metric} per {curve.bucket}, time in {name_of(zone)}:")
        width = max(len(f"{each.average:,.2f}") for each in curve.points)
        for each in curve.points:
            readings = _counted(each.count, "reading")
            average = f"{each.average:>{width},.2f} {unit}"
            self.say(f"{local(each.start, zone):%Y-%m-%d %H:%M}  {average}  {readings}")

    def alarms(self, alarms: Sequence[StoredAlarm]) -> None:
        for each in alarms:
            self.say(f"alarm {each.id}: {each.metric} {each.threshold:,g} {each.metric.unit}")
        if not alarms:
            self.say("There are no alarms.")

    def conflicts(self, conflicts: Sequence[Conflict]) -> None:
        for each in conflicts:
            moment = f"{local(each.timestamp, dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
            self.say(
                f"{moment}  {each.metric} {each.value!r} {each.metric.unit}, stored is {each.stored!r}"
            )
        if not conflicts:
            self.say("No reading differs from what is stored for its time.")

    def delivery(self, delivery: Delivery) -> None:
        """What the user should know of it before anything is sent."""
        if delivery.total is None:
            self.say("The readings are made up; --readings FILE pushes real ones.")
        for each in delivery.bad:
            self.warn(f"skipped: {each}")

    def warn(self, text: str) -> None:
        click.echo(visible(text), err=True)

    def waiting(self, seconds: float) -> None:
        self.warn(f"waiting for a server: {seconds:.0f} s so far")

    def refused(self, report: NotAdmitted) -> None:
        """Why the server got nothing."""
        for line in refusal_lines(report):
            self.warn(line)

    def say(self, text: str) -> None:
        click.echo(visible(text), file=self.people)


def _table(summary: Summary) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("operation")
    for name in ("count", "p50 ms", "p95 ms", "p99 ms", "errors", "retries"):
        table.add_column(name, justify="right")
    for name, each in summary.operations.items():
        latencies = (each.p50_ms, each.p95_ms, each.p99_ms)
        table.add_row(
            name,
            f"{each.count:,}",
            *("-" if value is None else f"{value:,.1f}" for value in latencies),
            f"{each.errors:,}",
            f"{each.retries:,}",
            style="red" if each.errors else None,
        )
    return table


def _notes(summary: Summary) -> list[str]:
    notes = _delivered(summary)
    for reason, count in summary.readings_skipped.items():
        skipped = _counted(count, "reading")
        notes.append(f"{skipped} of the file skipped: {reason}")
    if summary.input_error is not None:
        notes.append(summary.input_error)
    if summary.interrupted:
        notes.append("interrupted")
    return notes


def _delivered(summary: Summary) -> list[str]:
    """What became of the readings."""
    notes = []
    if summary.batches_acknowledged:
        notes.append(
            f"{_counted(summary.rows_stored, 'reading')} stored"
            f" in {_counted(summary.batches_acknowledged, 'batch', 'batches')}; "
            f"{_counted(summary.rows_unchanged, 'was', 'were')} stored before"
        )
    if summary.rows_corrected:
        notes.append(f"{_counted(summary.rows_corrected, 'reading')} corrected")
    if summary.rows_conflicting:
        notes.append(
            f"{_counted(summary.rows_conflicting, 'reading differs', 'readings differ')} from what is stored for "
            "the same time, which stays: a customer can list them (--conflicts), --correct replaces what is stored"
        )
    if summary.rows_rejected:
        notes.append(
            f"{_counted(summary.rows_rejected, 'reading')} REJECTED by the server, not stored"
        )
    if summary.rows_not_delivered:
        notes.append(
            f"{_counted(summary.rows_not_delivered, 'reading')} of the file NOT DELIVERED: push the file again, "
            "each reading is stored once"
        )
    return notes


def _counted(number: int, one: str, more: str = "") -> str:
    return f"{number:,} {one if number == 1 else more or f'{one}s'}"
