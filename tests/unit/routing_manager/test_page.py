"""The status page is self-contained, puts nothing in as markup, and knows every state."""

import re

import pytest

from routing_manager import page
from standby import deadlines
from standby.states import USUAL_ENDS, State


def test_the_page_loads_nothing_from_anywhere() -> None:
    assert not re.search(r"<(link|img|iframe|object|base)\b|@import|url\(|\bsrc=", page.HTML)
    assert not re.search(r"https?://", page.HTML)


@pytest.mark.parametrize(
    "sink", ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval", "style="]
)
def test_the_page_never_puts_text_in_as_markup_or_code(sink: str) -> None:
    assert sink not in page.HTML


def test_the_page_allows_its_own_script_and_style_by_digest() -> None:
    policy = page.HEADERS["Content-Security-Policy"]
    assert len(re.findall(r"(?:script|style)-src 'sha256-[A-Za-z0-9+/]{43}='", policy)) == 2
    assert len(re.findall(r"<script", page.HTML)) == len(re.findall(r"<style", page.HTML)) == 1


@pytest.mark.parametrize("state", State)
def test_every_state_has_a_count_and_a_colour_in_both_themes(state: State) -> None:
    assert f'"{state}"' in page.HTML
    assert page.HTML.count(f"--{state}:") == 2


def test_the_page_calls_silence_and_trouble_what_the_platform_calls_so() -> None:
    assert f"const SILENT = {deadlines.EVENTS_SILENT:g};" in page.HTML
    (found,) = re.findall(r"const USUAL_ENDS = \[([^]]*)\];", page.HTML)
    assert set(re.findall(r'"(\w+)"', found)) == {str(each) for each in USUAL_ENDS}
