"""The result as one page that needs nothing else: figures inline, no script, nothing fetched.

The page is made from the summary and the drawings alone; report.html says in which order. What it says of how things
were measured stands there, too. Figures are inlined as SVG, so that they are sharp on every screen and on paper, and as
PNG where the SVG would be too large to load on a phone. Ids in inlined SVG are made unique, because one page is one
document; what matplotlib writes before the `<svg>` would point to another host, so it is left out.
"""

import base64
import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import jinja2
from markupsafe import Markup

from bench.capacity import report as capacity_report
from bench.costs.model import Alpha, Total
from bench.experiment import economy, labels, validity
from bench.experiment.figures import Drawing, draw_all
from bench.experiment.published import Comparison as Published
from bench.experiment.published import compared
from bench.experiment.record import (
    Cell,
    Comparison,
    Conclusion,
    Estimate,
    Experiment,
    Level,
    Operation,
    Verdict,
)
from bench.experiment.results import Results

LARGEST: Final = 400_000
"""Bytes of an SVG that is inlined."""
LONG: Final = 24
"""Rows of a table that gets its own scroll bar on a screen."""
_SIGNS: Final = {
    Verdict.MET: "\N{CHECK MARK}",
    Verdict.MISSED: "\N{MULTIPLICATION X}",
    Verdict.UNDECIDED: "?",
    Verdict.NOT_MEASURED: "\N{EN DASH}",
    Verdict.MEASURED: "\N{BULLET}",
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawing, ready for the page."""

    stem: str
    title: str
    reading: str
    """How to read it."""
    image: Markup


Ratios = dict[str, dict[str, dict[int, Comparison]]]
"""By what is compared in words, operation and percentile."""


@dataclass(frozen=True, slots=True)
class Section:
    """What the page says about one experiment."""

    experiment: Experiment
    pictures: Sequence[Picture]
    published: Published
    fixed: str
    """Levels that all cells have, in words."""
    varied: Sequence[str]
    """Names of the levels that differ."""
    ratios: Ratios

    @property
    def cells(self) -> Sequence[Cell]:
        return self.experiment.cells

    def name(self, cell: Cell) -> str:
        """What tells the cell from its neighbours."""
        system = [labels.SYSTEM] if cell.system else []
        return labels.named(cell, [*system, *self.varied])

    @property
    def has_enclaves(self) -> bool:
        return any(g.enclaves is not None for cell in self.cells for g in cell.groups.values())

    @property
    def has_waiting(self) -> bool:
        return any(g.waiting is not None for cell in self.cells for g in cell.groups.values())

    @property
    def rows(self) -> int:
        """Of the table of cells."""
        return sum(1 + max(1, len(cell.operations)) for cell in self.cells)

    @property
    def groups(self) -> int:
        """Rows of the table of resources."""
        return sum(1 + len(cell.groups) for cell in self.sampled)

    @property
    def sampled(self) -> Sequence[Cell]:
        return [cell for cell in self.cells if cell.groups]

    @property
    def troubled(self) -> Sequence[Cell]:
        return [cell for cell in self.cells if cell.problems or cell.valid < cell.runs]


def write(
    results: Results, file: Path, drawings: Mapping[str, Sequence[Drawing]] | None = None
) -> None:
    """Write the page; `drawings` by experiment when they have been made already (`figures.draw_all`)."""
    made = draw_all(results) if drawings is None else drawings
    file.write_text(page(results, made), encoding="utf-8")


def page(results: Results, drawings: Mapping[str, Sequence[Drawing]]) -> str:
    """The HTML; the same for the same results."""
    summary = results.summary
    sizing = economy.capacity(summary)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        ms=_ms,
        estimate=_estimate,
        amount=labels.significant,
        duration=duration,
        moment=_moment,
        paragraphs=_paragraphs,
        percent=_percent,
        alpha=_alpha,
        total=_total,
    )
    return environment.get_template("report.html").render(
        summary=summary,
        sections=[section(each, drawings.get(each.name, ())) for each in summary.experiments],
        labels=labels,
        validity=validity,
        signs=_SIGNS,
        long=LONG,
        machine=_machine(summary.machine),
        costs=economy.costs(summary),
        sizing=sizing,
        footprints=capacity_report.compared(sizing.sizing) if sizing else [],
        conclusion=_value,
        in_order=_in_order,
    )


def section(experiment: Experiment, drawings: Sequence[Drawing]) -> Section:
    names = dict.fromkeys(name for cell in experiment.cells for name in cell.levels)
    varied = [
        name for name in names if len({cell.levels.get(name) for cell in experiment.cells}) > 1
    ]
    fixed = {
        name: value
        for name, value in (experiment.cells[0].levels if experiment.cells else {}).items()
        if name not in varied
    }
    return Section(
        experiment=experiment,
        pictures=[picture(each) for each in drawings],
        published=compared(experiment),
        fixed=labels.levels(fixed),
        varied=varied,
        ratios=_ratios(experiment),
    )


def picture(drawing: Drawing) -> Picture:
    """SVG in the page, or a PNG in a data URI."""
    caption = Markup.escape(drawing.caption)
    title, _, reading = drawing.caption.partition(". ")
    if len(drawing.svg) <= LARGEST:
        image = inlined(drawing.svg, drawing.stem, caption)
    else:
        data = base64.b64encode(drawing.png).decode()
        image = Markup('<img src="data:image/png;base64,{}" alt="{}">').format(data, caption)
    return Picture(drawing.stem, f"{title}.", reading, image)


def inlined(svg: bytes, name: str, caption: Markup) -> Markup:
    """The element alone, its ids beginning with `name`, and a name for those who cannot see it."""
    text = svg.decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'\bxlink:href="#([^"]+)"', rf'xlink:href="#{name}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)
    # matplotlib's own words and ours, no data: text in figures is drawn as outlines
    return Markup(text.replace("<svg ", f'<svg role="img" aria-label="{caption}" ', 1))  # noqa: S704


def _ratios(experiment: Experiment) -> Ratios:
    found: Ratios = {}
    for each in experiment.comparisons:
        mine, theirs = map(labels.named_system, each.systems)
        name = f"{mine} \N{DIVISION SIGN} {theirs}, {labels.levels(each.levels)}"
        found.setdefault(name, {}).setdefault(each.operation, {})[each.percentile] = each
    return found


def _in_order(cell: Cell) -> list[tuple[str, Operation]]:
    return [(name, cell.operations[name]) for name in labels.in_order(cell.operations)]


def _ms(value: float | None) -> str:
    return "" if value is None else labels.significant(value)


def _percent(value: float) -> str:
    return f"{100 * value:g} %"


def _estimate(estimate: Estimate | None, unit: str = "") -> Markup:
    """The value, and the interval where there is one."""
    if estimate is None:
        return Markup("")
    value, low, high = (
        f"{labels.significant(each, estimate.value)}{unit}"
        for each in (estimate.value, estimate.low, estimate.high)
    )
    if estimate.low == estimate.high:
        return Markup("<b>{}</b>").format(value)
    return Markup('<b>{}</b> <span class="interval">{} to {}</span>').format(value, low, high)


def _value(conclusion: Conclusion) -> Markup:
    """With its unit; a ratio has none."""
    unit = f" {conclusion.unit}" if conclusion.unit not in {"", "ratio"} else ""
    return _estimate(conclusion.estimate, unit)


def _alpha(alpha: Alpha) -> Markup:
    if isinstance(alpha, Estimate):
        return _estimate(alpha)
    return Markup("<b>{}</b>").format(labels.significant(alpha))


def _total(total: Total) -> Markup:
    return _estimate(Estimate(value=total.value, low=total.low, high=total.high))


def _paragraphs(text: str) -> list[str]:
    return [" ".join(each.split()) for each in re.split(r"\n\s*\n", text) if each.strip()]


def duration(seconds: float) -> str:
    """`2 h 14 min`, `9 min 5 s`, `42 s`."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"


def _moment(text: str) -> str:
    return f"{dt.datetime.fromisoformat(text).astimezone(dt.UTC):%-d %B %Y, %H:%M} UTC"


def _machine(facts: Mapping[str, Level]) -> dict[str, str]:
    """Names and values as people write them; `_mib` at the end of a name is a unit."""
    return {
        name.removesuffix("_mib").replace("_", " "): labels.number(value)
        + (" MiB" if name.endswith("_mib") else "")
        for name, value in facts.items()
    }
