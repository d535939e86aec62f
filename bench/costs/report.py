"""A cost calculation as data and as text."""

from collections.abc import Sequence

from msgspec import Struct
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.costs import model
from bench.costs.alphas import Comparison
from bench.costs.errors import MissingAlphaError
from bench.costs.model import Alpha, Example, Profile, Total
from bench.experiment.record import CONFIDENCE, Estimate


class Cost(Struct, frozen=True, kw_only=True):
    """For one profile."""

    profile: Profile
    total: Total | None
    """None: a variable that it weighs was not measured."""
    meaning: str


class Costs(Struct, frozen=True, kw_only=True):
    """Of one system against another."""

    comparison: Comparison
    costs: list[Cost]


class ExampleCost(Struct, frozen=True, kw_only=True):
    """What the model makes of somebody else's alphas."""

    example: Example
    total: Total


def costs(comparison: Comparison, profiles: Sequence[Profile]) -> Costs:
    """C_total for each profile.

    Raises:
        AlphaError: an alpha cannot be used.
    """
    return Costs(comparison=comparison, costs=[_cost(profile, comparison) for profile in profiles])


def _cost(profile: Profile, comparison: Comparison) -> Cost:
    try:
        found = model.total(profile, comparison.alphas)
    except MissingAlphaError as error:
        return Cost(profile=profile, total=None, meaning=str(error).partition(": ")[2])
    return Cost(profile=profile, total=found, meaning=model.meaning(found))


def show(result: Costs | ExampleCost, console: Console) -> None:
    """Print it."""
    if isinstance(result, Costs):
        _show_costs(result, console)
    else:
        _show_example(result, console)


def _show_costs(result: Costs, console: Console) -> None:
    """The alphas and the totals, with what they stand on."""
    compared = result.comparison
    heading = f"{compared.test.name} ÷ {compared.control.name}"
    console.print(_alphas(compared, heading))
    console.print()
    console.print(_totals(result.costs))
    for note in _notes(result):
        console.print(f"[dim]{escape(note)}[/]", highlight=False)


def _show_example(result: ExampleCost, console: Console) -> None:
    """The calculation, beside what the source has."""
    example = result.example
    console.print(f"[bold]{escape(example.title)}[/]", highlight=False)
    console.print(f"[dim]{escape(example.source)}[/]", highlight=False)
    console.print(escape(" ".join(example.about.split())), highlight=False)
    table = Table(box=None)
    table.add_column("variable")
    table.add_column("weight", justify="right")
    table.add_column("alpha", justify="right")
    for variable, weight in example.weights.items():
        table.add_row(escape(variable), f"{weight:g}", f"{example.alphas.get(variable, 0):g}")
    console.print(table)
    console.print(
        f"C_total = {result.total.value:.3f}; published: {example.published:g}", highlight=False
    )


def _alphas(compared: Comparison, heading: str) -> Table:
    table = Table(box=None, title=escape(heading), title_justify="left", title_style="bold")
    table.add_column("variable")
    for name in ("alpha", "interval", "cells", "failed"):
        table.add_column(name, justify="right")
    for each in compared.variables:
        table.add_row(
            escape(each.name),
            f"{_value(each.alpha):.3f}",
            _interval(each.alpha),
            str(each.pairs),
            f"{each.failed_test} / {each.failed_control}",
        )
    return table


def _totals(found: Sequence[Cost]) -> Table:
    table = Table(box=None)
    table.add_column("profile")
    table.add_column("C_total", justify="right")
    table.add_column("interval", justify="right", no_wrap=True)
    table.add_column("")
    for each in found:
        value = f"{each.total.value:.3f}" if each.total else ""
        table.add_row(escape(each.profile.title), value, _spread(each.total), escape(each.meaning))
    return table


def _notes(result: Costs) -> list[str]:
    exact = {name: None for each in result.costs if each.total for name in each.total.exact}
    notes = [
        f"Intervals: {CONFIDENCE:.0%} of each latency, put together so that a total's covers at least as much."
    ]
    if exact:
        notes.append(f"Taken as exact, because measured without an interval: {', '.join(exact)}.")
    if any(each.failed_test or each.failed_control for each in result.comparison.variables):
        notes.append(
            "Failed requests (of the platform under test / of the control) are in no alpha."
        )
    return notes


def _spread(found: Total | None) -> str:
    return _range(found.low, found.high) if found and found.has_interval else ""


def _value(alpha: Alpha) -> float:
    return alpha.value if isinstance(alpha, Estimate) else alpha


def _interval(alpha: Alpha) -> str:
    return _range(alpha.low, alpha.high) if isinstance(alpha, Estimate) else ""


def _range(low: float, high: float) -> str:
    return f"{low:.3f} to {high:.3f}"
