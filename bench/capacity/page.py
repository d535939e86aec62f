"""A sizing as one HTML page that needs nothing else, for people who decide and do not run commands."""

from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bench.capacity import chart, report, words
from bench.capacity.erlang import MOST_LOAD
from bench.capacity.model import Demand, Point, curve
from bench.capacity.report import Result

_HERE: Final = Path(__file__).parent
_ROUND: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Active user ratios of the table."""
_POINTS: Final = 31
"""Of a curve."""


def render(result: Result) -> str:
    """The page."""
    demand = result.demand
    points = curve(demand, ratios(demand))
    asked = Point(
        active_ratio=demand.active_ratio,
        standby=result.sizing.standby,
        trivial=result.sizing.trivial,
    )
    return (
        environment()
        .get_template("page.html")
        .render(
            demand=demand,
            sizing=result.sizing,
            verdict=report.verdict(result.sizing),
            compared=report.compared(result.sizing),
            found=report.found(result.sizing),
            inputs=inputs(demand),
            points=curve(demand, [each for each in _ROUND if each <= highest(demand)]),
            servers=chart.servers(points, asked),
            memory=chart.memory(points, asked),
            words=words,
        )
    )


def environment() -> Environment:
    """Text is no markup, and a name that nobody gives is an error."""
    return Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def highest(demand: Demand) -> float:
    """The highest active user ratio that can be calculated; 1 but for very many users."""
    return min(1.0, MOST_LOAD * demand.active_ratio / demand.load)


def ratios(demand: Demand) -> list[float]:
    """Active user ratios from a tenth of a percent, or less where less was asked for, to the highest."""
    last = highest(demand)
    first = min(0.001, demand.active_ratio / 10, last / 10)
    return [first * (last / first) ** (step / (_POINTS - 1)) for step in range(_POINTS)]


def inputs(demand: Demand) -> list[tuple[str, str]]:
    """What was asked."""
    return [
        ("users", f"{demand.users:,}"),
        ("active user ratio", words.share(demand.active_ratio)),
        ("sessions that begin, per second", words.number(demand.arrivals)),
        ("from LOGOUT to a fresh server", words.duration(demand.recycle)),
        ("memory of a server in a session", words.memory(demand.server_memory)),
        ("memory of a server that waits", words.memory(demand.waiting_memory)),
        ("memory of a template, one per node", words.memory(demand.template_memory)),
        ("memory of a trivial server", words.memory(demand.trivial_memory)),
        ("memory of a node, for servers", words.memory(demand.node_memory)),
        ("LOGINs that may have to wait", f"at most {words.share(demand.wait_limit)}"),
    ]
