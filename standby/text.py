r"""Text that people read: every character in it can be seen, and its length has a limit.

Text from a peer may hold escape sequences that move a terminal's cursor or make links, line breaks that pretend to be
another line, and marks that turn the direction of writing around. `visible` writes such characters as escapes
(`\x1b`, `\u202e`); it is the one place that does so, for logs, for what commands print, and for texts of messages.

`sentence` is the bound of a text in a message: its type refuses what `printable` would change. So a text that has been
received can be shown on a terminal and on the status page as it is. Markup of the place where it is shown is another
matter: such text is put in as text, never as markup.
"""

import re
from typing import Final

from msgspec import Meta

_CONTROL: Final = r"\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
"""C0, DEL, C1, marks without width, line and paragraph separators, marks that change the direction of writing."""
PATTERN: Final = rf"^[^{_CONTROL}]*$(?!\n)"
# halves of surrogate pairs: Python makes them of bytes that are not UTF-8, and no encoder takes them
_HIDDEN: Final = re.compile(rf"[{_CONTROL}\ud800-\udfff]")
_CUT: Final = "…"


def visible(text: str) -> str:
    """`text` with escapes for characters that cannot be seen."""
    return text if text.isprintable() else _HIDDEN.sub(_escape, text)


def printable(text: str, most: int) -> str:
    """The same, cut to `most` characters."""
    seen = visible(text[: most + 1])
    return seen if len(seen) <= most else seen[: most - 1] + _CUT


def sentence(most: int, description: str | None = None) -> Meta:
    """The bound of a text for people: printable, of at most `most` characters."""
    return Meta(max_length=most, pattern=PATTERN, description=description)


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
