"""What the demo found: as data (`--json`), and as tables for people."""

from collections.abc import Sequence

from msgspec import Struct
from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from smartgrid_client.report import OperationSummary
from smartgrid_client.requests import Operation
from standby.states import State
from standby_cli.demo import waits
from standby_cli.demo.checks import Check
from standby_cli.demo.waits import Quantiles
from standby_cli.demo.watch import Sample
from standby_cli.terminal import styled

ROWS = 24
"""Lines of the table of states over time."""
_LETTERS = {
    State.STARTING: ("s", "dim"),
    State.READY: ("R", "green"),
    State.RESERVED: ("r", "yellow"),
    State.ACTIVE: ("A", "bold cyan"),
    State.STOPPED: ("x", "red"),
}


class Result(Struct, frozen=True, kw_only=True):
    """Everything the demo found."""

    ok: bool
    approach: str
    users: int
    pool_size: int
    sessions: int
    readings: int
    """Of each household, at 15 s."""
    readings_skipped: int
    """Lines of the input file that hold no reading."""
    seconds: float
    operations: dict[str, OperationSummary]
    """LOGIN: as the user sees it, from the connection's begin on, with waiting."""
    login_waiting: Quantiles
    """Of that, all tries together: until a server was reached and verified."""
    login_alone: Quantiles
    """The rest, of the last try."""
    pool: list[Sample]
    checks: list[Check]


def show(result: Result, console: Console) -> None:
    """Print the result for people."""
    legend = ", ".join(f"{letter} {state.capitalize()}" for state, (letter, _) in _LETTERS.items())
    what = (
        f"{result.users} households, {result.sessions} sessions (meter and customer share "
        f"{result.users} of them) on a pool of {result.pool_size}"
    )
    data = f"{result.readings:,} readings each, one every 15 s, from six days of a real household"
    skipped = f"{result.readings_skipped} lines of its file hold no reading and were skipped"
    sections: list[tuple[str, RenderableType]] = [
        (f"{what} ({result.approach}), {result.seconds:.1f} s", styled(f"{data}; {skipped}")),
        (
            "Requests (ms, as the client sees them)",
            Group(_operations(result), styled((waits.why(result.pool), "dim"))),
        ),
        (f"Pool over time, one letter a server: {legend}", _pool(result.pool)),
        ("Checks", _checks(result.checks)),
    ]
    for title, content in sections:
        console.print()
        console.print(styled((title, "bold")))
        console.print(content)
    held, failed = ("every check held", "bold green"), ("a check failed", "bold red")
    console.print()
    console.print(styled(held if result.ok else failed))


def _table(**columns: JustifyMethod) -> Table:
    """A plain table; columns are given as name and alignment."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name, justify in columns.items():
        table.add_column(name.replace("_", " "), justify=justify)
    return table


def _operations(result: Result) -> Table:
    table = _table(
        operation="left",
        count="right",
        p50="right",
        p95="right",
        p99="right",
        errors="right",
        retries="right",
    )
    for operation, summary in result.operations.items():
        tries = str(summary.errors), str(summary.retries)
        if operation == Operation.LOGIN:
            _row(table, "connect and wait", result.login_waiting)
            _row(table, operation, result.login_alone, *tries)
        else:
            _row(table, operation, summary, *tries)
    return table


def _row(table: Table, name: str, each: OperationSummary | Quantiles, *tries: str) -> None:
    values = (each.p50_ms, each.p95_ms, each.p99_ms)
    cells = ("-" if value is None else f"{value:.1f}" for value in values)
    table.add_row(name, str(each.count), *cells, *tries)


def _pool(samples: Sequence[Sample]) -> Table:
    table = _table(at="right", servers="left", users_waiting="right")
    step = max(1, -(-len(samples) // ROWS))
    for sample in samples[::step]:
        table.add_row(f"{sample.seconds:.1f} s", _letters(sample), str(sample.waiting or ""))
    return table


def _letters(sample: Sample) -> Text:
    text = Text()
    for state in (State.ACTIVE, State.RESERVED, State.READY, State.STARTING, State.STOPPED):
        letter, style = _LETTERS[state]
        text.append(letter * int(getattr(sample.counts, state.value)), style=style)
    return text


def _checks(checks: Sequence[Check]) -> Table:
    table = _table(_="left", what_must_hold="left", expected="left", found="left")
    for each in checks:
        mark = styled(("✓", "green") if each.ok else ("✗", "bold red"))
        table.add_row(mark, *map(styled, (each.name, each.expected, each.found)))
    return table
