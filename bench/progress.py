"""How far a run of known length is: a bar with the time left, or a line a minute where no person sees a bar move."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Tick = Callable[[float, int], None]
"""Called now and then: seconds since the beginning, and how many of what is counted there were."""
_WIDE: Final = 120
"""Columns."""
_A_LINE: Final = 60.0
"""Seconds between two lines."""


@contextmanager
def shown(total: float, counted: str, console: Console) -> Iterator[Tick]:
    """For a run of `total` seconds in which something is `counted`, such as "faults"."""
    if not console.is_terminal:
        yield _lines(total, counted, console)
        return
    columns = (
        TextColumn("{task.fields[count]} " + counted),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=total, count=0, visible=False)
        yield lambda passed, count: bar.update(
            task, completed=passed, count=count, visible=passed < total
        )


def wide() -> Console:
    """For a result's tables: where no person's terminal limits them, they are not cut."""
    console = Console()
    return console if console.is_terminal else Console(width=_WIDE)


def _lines(total: float, counted: str, console: Console) -> Tick:
    due = _A_LINE

    def tick(passed: float, count: int) -> None:
        nonlocal due
        if passed >= due:
            due = passed + _A_LINE
            left = max(0.0, total - passed)
            console.print(
                f"{_clock(passed)}: {count} {counted}, {_clock(left)} left", highlight=False
            )

    return tick


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
