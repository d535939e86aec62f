"""The page: needs nothing else, says everything, and shows no text as markup."""

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from markupsafe import Markup

from bench.experiment import report
from bench.experiment.figures import Drawing, draw_all
from bench.experiment.results import Results
from tests.support.experiment_results import build

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """What a browser would find: ids, references, unclosed elements, text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.references: list[str] = []
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.words = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.words += " "
        if tag not in VOID:
            self.open.append(tag)
        self._note(attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._note(attrs)

    def _note(self, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in {"href", "xlink:href", "src", "srcset", "data", "action"}:
                self.references.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "svg"} & set(self.open):
            self.words += data


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return Results(build(tmp_path_factory.mktemp("results"), count=30))


@pytest.fixture(scope="module")
def drawings(results: Results) -> dict[str, list[Drawing]]:
    return draw_all(results)


@pytest.fixture(scope="module")
def html(results: Results, drawings: dict[str, list[Drawing]]) -> str:
    return report.page(results, drawings)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def said(page: Page) -> str:
    return " ".join(page.words.split())


def test_nothing_is_fetched_and_nothing_runs(html: str, page: Page) -> None:
    assert all(each.startswith(("#", "data:image/png;base64,")) for each in page.references)
    assert not {"script", "link", "iframe", "object", "embed"} & page.tags
    assert "@import" not in html
    assert all(each.startswith("#") for each in re.findall(r"url\(([^)]*)\)", html))
    names = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert set(re.findall(r"https?://[^\s\"'<>)]+", html)) <= names


def test_elements_are_closed_and_ids_are_unique(page: Page) -> None:
    assert page.open == []
    assert [name for name, times in Counter(page.ids).items() if times > 1] == []


def test_every_inner_reference_leads_somewhere(html: str, page: Page) -> None:
    wanted = {each[1:] for each in page.references if each.startswith("#")}
    wanted |= set(re.findall(r"url\(#([^)]*)\)", html))
    assert wanted - set(page.ids) == set()


def test_text_from_the_data_is_text(html: str) -> None:
    assert "Made-up results &lt;to look at&gt;" in html
    assert "Users &amp; servers are on &lt;one&gt; machine." in html
    assert "&lt;lag&gt; of 812 ms &amp; more" in html
    assert "<one>" not in html
    assert "<lag>" not in html


def test_a_caption_cannot_leave_its_attribute(drawings: dict[str, list[Drawing]]) -> None:
    drawing = drawings["type2"][0]._replace(caption='A "quoted" <b>title</b>. How.')
    image = report.picture(drawing).image
    assert 'aria-label="A &#34;quoted&#34; &lt;b&gt;title&lt;/b&gt;. How."' in image


def test_conclusions_have_their_verdicts_in_words(page: Page) -> None:
    text = said(page)
    assert "46.7 % 46.1 % to 47.2 % \N{GREATER-THAN OR EQUAL TO} 40 % \N{CHECK MARK} met" in text
    assert "? undecided" in text
    assert "against trivial. In 2 of 2 cells." in text
    assert "\N{MULTIPLICATION X} missed" in text
    assert text.index("Conclusions") < text.index("Every cell")


def test_every_experiment_every_figure_and_every_cell_is_there(
    results: Results, drawings: dict[str, list[Drawing]], html: str, page: Page
) -> None:
    for experiment in results.summary.experiments:
        assert experiment.name in page.ids
        assert all(f"figure-{each.stem}" in page.ids for each in drawings[experiment.name])
    cells = [cell for each in results.summary.experiments for cell in each.cells]
    sampled = [cell for cell in cells if cell.groups]
    assert html.count('scope="rowgroup"') == len(cells) + len(sampled) + 2  # two are compared


def test_problems_are_told_once_for_each_reason(page: Page) -> None:
    text = said(page)
    assert "1 of 2 runs: the load generator was late" in text
    assert text.count("2 server processes were left over") == 1


def test_simulated_is_said_in_tables_too(page: Page) -> None:
    assert "standby (simulated enclave), 56 servers" in said(page)


def test_enclave_columns_only_where_there_are_simulated_ones(html: str) -> None:
    sections = html.split('<section class="experiment"')[1:]
    found = {
        re.search(r'id="([^"]+)"', each)[1]: "simulated enclaves (MiB)" in each  # type: ignore[index]  # always found
        for each in sections
    }
    assert found == {"type2": False, "startup": True, "memory": True, "ingress": False}
    assert "EPC" not in html.split('id="not-comparable"', maxsplit=1)[0]


def test_the_same_results_give_the_same_page(
    results: Results, drawings: dict[str, list[Drawing]], html: str
) -> None:
    """That figures are the same is shown where each of them is drawn."""
    assert report.page(Results(results.directory), drawings) == html


def test_an_interrupted_result_still_reports(tmp_path: Path) -> None:
    results = Results(build(tmp_path, count=10, complete=False))
    none = {
        "runs": 0,
        "valid": 0,
        "operations": {},
        "groups": {},
        "throughput": 0.0,
        "problems": [],
    }
    emptied = [
        msgspec.structs.replace(
            each,
            cells=[msgspec.structs.replace(cell, **none) for cell in each.cells],
            conclusions=[],
        )
        for each in results.summary.experiments
    ]
    results.summary = msgspec.structs.replace(results.summary, experiments=emptied)
    for run in (tmp_path / "runs").iterdir():
        (run / "run.json").unlink()
    report.write(results, tmp_path / "report.html")
    text = said(Page((tmp_path / "report.html").read_text(encoding="utf-8")))
    assert (
        f"Interrupted: {results.summary.runs_done} of {results.summary.runs_planned} runs." in text
    )
    assert "Nothing can be concluded yet." in text
    assert "not run yet" in text
    assert "No figure could be drawn" in text


def test_a_large_figure_is_a_png(drawings: dict[str, list[Drawing]]) -> None:
    small = drawings["type2"][0]
    large = small._replace(svg=small.svg + b" " * report.LARGEST)
    assert report.picture(small).image.startswith("<svg role")
    assert report.picture(large).image.startswith('<img src="data:image/png;base64,iVBOR')


def test_captions_have_a_title_and_how_to_read_the_figure() -> None:
    picture = report.Picture("a", "Title.", "How. And why.", Markup(""))
    drawn = report.picture(Drawing("a", "Title. How. And why.", b"<svg ></svg>", b""))
    assert (drawn.title, drawn.reading) == (picture.title, picture.reading)


@pytest.mark.parametrize(
    ("seconds", "words"), [(42.4, "42 s"), (545, "9 min 5 s"), (8070, "2 h 14 min")]
)
def test_durations(seconds: float, words: str) -> None:
    assert report.duration(seconds) == words
