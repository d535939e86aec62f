"""Text that is shown holds nothing that cannot be seen."""

import re
import unicodedata

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from standby.text import PATTERN, printable, visible

HIDDEN = [
    "\x1b[2J",
    "\x1b]8;;https://example.org\x07",
    "\r",
    "\n",
    "\x7f",
    "\x85",
    "\x9b31m",
    "\u200b",
    "\u200f",
    "\u2028",
    "\u202e",
    "\u2066",
    "\ufeff",
    "\ud800",
]


@pytest.mark.parametrize("hidden", HIDDEN)
def test_what_cannot_be_seen_is_written_as_an_escape(hidden: str) -> None:
    shown = visible(f"before{hidden}after")
    assert shown.startswith("before\\")
    assert shown.endswith("after")
    assert shown.isprintable()


def test_what_can_be_seen_stays_as_it_is() -> None:
    text = "Ωhm, 温度, naïve, 🦀, non-breaking\u00a0space, [red]markup[/]"
    assert visible(text) == text


@given(st.text(), st.integers(min_value=1, max_value=50))
def test_any_text_becomes_one_that_messages_take(text: str, most: int) -> None:
    shown = printable(text, most)
    assert len(shown) <= most
    assert re.search(PATTERN, shown)
    msgspec.json.encode(shown)
    assert not any(unicodedata.category(each) in {"Cc", "Cs", "Zl", "Zp"} for each in shown)


@given(st.text())
def test_a_type_refuses_exactly_what_would_be_changed(text: str) -> None:
    lone = any(unicodedata.category(each) == "Cs" for each in text)
    assert bool(re.search(PATTERN, text)) == (visible(text) == text) or lone


def test_a_long_text_is_cut_and_says_so() -> None:
    assert printable("x" * 10, 10) == "x" * 10
    assert printable("x" * 11, 10) == "x" * 9 + "…"
    assert printable("\x1b" * 10, 10) == r"\x1b\x1b\x1b"[:9] + "…"
