"""Tables and styled lines on a terminal: text of servers, peers and files is shown as text; plain lines are `echo`'s.

Nothing in it is markup or an emoji's name to Rich, because styles are given beside texts (`styled`) and never inside of
them; and nothing in it is a command to the terminal, because every line goes through `standby.text.visible`.
"""

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from standby.text import visible

Styled = str | tuple[str, str]
"""A text, or a text and its style."""


def console(*, stderr: bool = False, width: int | None = None) -> Console:
    """Where tables and styled lines go."""
    return Console(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)


def styled(*parts: Styled) -> Text:
    """One line, or one cell of a table, of several parts."""
    made = Text()
    for part in parts:
        text, style = (part, "") if isinstance(part, str) else part
        made.append(visible(text), style)
    return made


def lines(texts: Iterable[str]) -> Text:
    """A cell of a table with several lines."""
    return Text("\n").join(map(styled, texts))
