"""A sizing as text."""

from msgspec import Struct
from rich.console import Console
from rich.table import Table

from bench.capacity import words
from bench.capacity.model import Demand, Sizing
from standby import deadlines


class Result(Struct, frozen=True, kw_only=True):
    """What was asked, and the answer."""

    demand: Demand
    sizing: Sizing


def compared(sizing: Sizing) -> list[tuple[str, str, str]]:
    """What, with standby, with trivial."""
    one, other = sizing.standby, sizing.trivial
    return [
        ("servers", f"{one.servers:,}", f"{other.servers:,}"),
        ("nodes", f"{one.nodes:,}", f"{other.nodes:,}"),
        ("memory, usual", words.memory(one.usual), words.memory(other.usual)),
        ("memory, at most", words.memory(one.most), words.memory(other.most)),
    ]


def found(sizing: Sizing) -> list[tuple[str, str]]:
    """What the queue is like with this pool."""
    room = words.duration(deadlines.WAITING_ROOM)
    return [
        ("sessions at a time, on average", words.number(sizing.sessions)),
        ("a session lasts, on average", words.duration(sizing.session)),
        ("servers busy, on average", words.number(sizing.load)),
        ("LOGINs that must wait", words.share(sizing.wait_share)),
        ("these would wait, on average", words.duration(sizing.wait)),
        (f"LOGINs that would wait longer than {room}", words.share(sizing.refused_share)),
    ]


def verdict(sizing: Sizing) -> str:
    """One sentence."""
    pool = f"A pool of {words.plural(sizing.standby.servers, 'server')}"
    return f"{pool} on {words.plural(sizing.standby.nodes, 'node')}: {_saved(sizing)}."


def _saved(sizing: Sizing) -> str:
    one, other = sizing.standby.most, sizing.trivial.most
    if one <= other:
        return f"{words.share(1 - one / other)} less memory than trivial"
    return f"{one / other:,.3g} times the memory of trivial, which is the better choice here"


def show(result: Result, console: Console) -> None:
    for what, value in found(result.sizing):
        console.print(f"{what}: {value}", highlight=False)
    console.print()
    table = Table(box=None)
    table.add_column("")
    table.add_column("standby", justify="right")
    table.add_column("trivial", justify="right")
    for row in compared(result.sizing):
        table.add_row(*row)
    console.print(table)
    console.print()
    console.print(verdict(result.sizing), highlight=False)
