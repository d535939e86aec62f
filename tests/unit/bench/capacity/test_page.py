"""The page says what was asked and found, needs nothing from elsewhere, and takes no text for markup."""

import re
from html.parser import HTMLParser

import pytest
from jinja2 import UndefinedError
from msgspec import structs

from bench.capacity import page
from bench.capacity.erlang import MOST_LOAD
from bench.capacity.model import Demand, size
from bench.capacity.report import Result
from tests.unit.bench.capacity.demands import USUAL


def _page(demand: Demand = USUAL) -> str:
    return page.render(Result(demand=demand, sizing=size(demand)))


@pytest.fixture(scope="module")
def text() -> str:
    """Of the usual demand."""
    return _page()


class _Elements(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_page_has_the_answer_the_inputs_the_formula_and_two_drawings(text: str) -> None:
    assert "A pool of 125 servers on 1 node: 99.5 % less memory than trivial." in text
    for each in ("Erlang C", "1917", "What is not promised", "memory of a node"):
        assert each in text
    for what, value in page.inputs(USUAL):
        assert f'<th scope="row">{what}</th><td>{value}</td>' in text
    tags = [tag for tag, _ in _Elements(text).found]
    assert tags.count("svg") == 2


def test_the_page_loads_nothing_and_runs_nothing(text: str) -> None:
    for tag, attributes in _Elements(text).found:
        assert tag not in {"script", "link", "img", "iframe"}
        for name in ("src", "href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith("#")


def test_every_id_of_the_page_is_there_once_and_every_reference_has_its_target(text: str) -> None:
    elements = _Elements(text).found
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert ids
    assert len(set(ids)) == len(ids)
    used = set(re.findall(r"url\(#([^)]+)\)", text))
    used |= {
        str(attributes["xlink:href"])[1:]
        for _, attributes in elements
        if "xlink:href" in attributes
    }
    assert used <= set(ids)


def test_the_drawings_have_the_pages_colours_units_and_names(text: str) -> None:
    drawings = text[text.index("<svg") : text.rindex("</svg>")]
    assert "#0a0b" not in drawings
    for each in ("--ink", "--line", "--standby", "--trivial"):
        assert f"var({each})" in drawings
    for each in ("active user ratio (%)", "memory at most (GiB)", "server processes", ">trivial<"):
        assert each in drawings


def test_the_same_demand_gives_the_same_page(text: str) -> None:
    assert _page() == text


def test_very_many_users_have_a_curve_as_far_as_it_can_be_calculated() -> None:
    demand = structs.replace(USUAL, users=MOST_LOAD * 2, active_ratio=0.001, arrivals=4.0)
    assert page.highest(demand) == pytest.approx(0.5, rel=1e-3)
    assert page.ratios(demand)[-1] == pytest.approx(page.highest(demand))


@pytest.mark.parametrize("ratio", [1e-6, 0.01, 1.0])
def test_the_curve_goes_below_what_was_asked_and_up_to_all_users(ratio: float) -> None:
    ratios = page.ratios(structs.replace(USUAL, active_ratio=ratio))
    assert ratios[0] < ratio
    assert ratios[-1] == pytest.approx(1)
    assert ratios == sorted(ratios)


def test_few_users_are_drawn_in_mebibytes() -> None:
    assert "memory at most (MiB)" in _page(structs.replace(USUAL, users=10, active_ratio=0.5))


def test_a_template_with_a_name_that_nobody_gives_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        page.environment().from_string("{{ nobody }}").render()


def test_text_is_not_markup() -> None:
    rendered = page.environment().from_string("{{ text }}").render(text="<b>")
    assert rendered == "&lt;b&gt;"
