"""What a soak found: as data (`--json`) and as text. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from msgspec import Struct
from rich.console import Console
from rich.table import Table

from bench.soak import growth
from bench.soak.figures import KINDS, Figure
from bench.soak.growth import Reading, Trend
from bench.soak.users import Served
from bench.spread import Spread, spread
from bench.stranger import Sent

Series = Mapping[tuple[str, Figure], Sequence[Reading]]
"""The readings of each figure of each part."""
_FEWEST_SESSIONS: Final = 2
"""Of each user; fewer are no use of a platform."""


class Judgement(StrEnum):
    STEADY = "steady"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


class Measured(Struct, frozen=True, kw_only=True):
    """One figure of one part."""

    part: str
    figure: Figure
    unit: str
    trend: Trend


class Result(Struct, frozen=True, kw_only=True):
    """One run."""

    judgement: Judgement
    failures: list[str]
    """Everything that fails the run, with its evidence."""
    lacking: list[str]
    """Why the run says too little; empty unless it is inconclusive, or failed all the same."""
    figures: list[Measured]
    sessions: int
    """LOGINs that succeeded."""
    requests: int
    failed_tries: dict[str, int]
    """By operation and error code; most were repeated with success."""
    given_up: dict[str, int]
    """Requests that failed for good, by error code."""
    login_seconds: Spread
    """From a client's first try to its success."""
    made_up_names: int
    half_hellos: int
    stranger_refused: int
    """Connections of the stranger that were not accepted."""
    servers_killed: int
    interrupted: bool
    seconds: float
    warm_up: float
    """Seconds at the beginning that were not judged."""
    users: int
    pool: int
    wrappers: int
    seed: int
    machine: dict[str, str | int | float]
    versions: dict[str, str]
    evidence: str | None
    """Where logs and readings were kept."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What is known when a soak is over."""

    seconds: float
    interrupted: bool
    series: Series
    served: Served
    sent: Sent
    killed: int
    broken: Sequence[str]
    """What ended on the way, in words: parts that were started again, and what of the soak itself failed."""
    tracebacks: Mapping[str, int]
    """Records with one in the parts' logs, by part and event."""


def trends(series: Series, seconds: float) -> list[Measured]:
    """Every figure's trend, by part."""
    begin = growth.warm_up(seconds)
    return [
        Measured(
            part=part,
            figure=figure,
            unit=KINDS[figure].unit,
            trend=growth.judge(readings, begin, seconds, KINDS[figure]),
        )
        for (part, figure), readings in sorted(series.items())
    ]


def failures(ended: Ended, figures: Iterable[Measured], evidence: str) -> list[str]:
    """Every condition that does not hold, in words."""
    found = [
        f"{each.part}: {each.figure} grows by {_number(each.trend.slope_per_hour)} {each.unit} an hour, surely by "
        f"{_number(each.trend.surely_per_hour)}, from {_number(each.trend.first)} to {_number(each.trend.last)}; "
        f"{_number(each.trend.allowance)} are allowed (readings: {evidence}/readings.csv)"
        for each in figures
        if each.trend.verdict is growth.Verdict.GROWS
    ]
    found += [f"{text} (see {evidence}/state/logs/)" for text in ended.broken]
    found += [
        f"{name}: {count} tracebacks (see {evidence}/state/logs/)"
        for name, count in ended.tracebacks.items()
    ]
    return found


def lacking(ended: Ended, figures: Sequence[Measured], users: int) -> list[str]:
    """Why this run says too little."""
    found = []
    unread = [
        f"{each.part} {each.figure}"
        for each in figures
        if each.trend.verdict is growth.Verdict.TOO_FEW
    ]
    if unread:
        found.append(f"too few readings of {len(unread)} figures: {', '.join(unread[:3])}, …")
    if ended.served.sessions < _FEWEST_SESSIONS * users:
        found.append(f"{ended.served.sessions} sessions of {users} users are too few")
    if not ended.sent.hellos:
        found.append("the stranger sent nothing")
    return found


def judge(failures: Sequence[str], lacking: Sequence[str]) -> Judgement:
    if failures:
        return Judgement.FAILED
    return Judgement.INCONCLUSIVE if lacking else Judgement.STEADY


def logins(ended: Ended) -> Spread:
    return spread(ended.served.logins)


def show(result: Result, console: Console) -> None:
    """Print the result for people."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in (
        "part",
        "figure",
        "begin",
        "end",
        "unit",
        "an hour",
        "surely",
        "allowed",
        "verdict",
    ):
        table.add_column(name, justify="left" if name in {"part", "figure", "unit"} else "right")
    for each in result.figures:
        trend = each.trend
        values = (trend.first, trend.last)
        slopes = (trend.slope_per_hour, trend.surely_per_hour, trend.allowance)
        style = "red" if trend.verdict is growth.Verdict.GROWS else None
        cells = (*map(_number, values), each.unit, *map(_number, slopes), trend.verdict)
        table.add_row(each.part, each.figure, *cells, style=style)
    console.print(table)
    for name, value in _lines(result):
        console.print(f"{name}: {value}", highlight=False)
    for text in result.failures:
        console.print(f"[red]failed[/] {text}", highlight=False, soft_wrap=True)
    for text in result.lacking:
        console.print(f"[yellow]too little[/] {text}", highlight=False, soft_wrap=True)
    console.print(_VERDICTS[result.judgement])


_VERDICTS: Final = {
    Judgement.STEADY: "[green]nothing grows[/]",
    Judgement.FAILED: "[bold red]failed[/]",
    Judgement.INCONCLUSIVE: "[yellow]inconclusive: run it longer[/]",
}


def _lines(result: Result) -> Sequence[tuple[str, object]]:
    logins = result.login_seconds
    return (
        (
            "time",
            f"{result.seconds:.0f} s, of which the first {result.warm_up:.0f} s are not judged",
        ),
        ("sessions", f"{result.sessions}, with {result.requests} requests"),
        (
            "LOGIN",
            f"{_number(logins.p50)} s (p50), {_number(logins.p99)} s (p99), {_number(logins.max)} s at most",
        ),
        ("failed tries", result.failed_tries or "none"),
        ("given up", result.given_up or "none"),
        (
            "stranger",
            f"{result.made_up_names} names, {result.half_hellos} halves, {result.stranger_refused} not accepted",
        ),
        ("servers killed", result.servers_killed),
    )


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004  # three digits are enough
