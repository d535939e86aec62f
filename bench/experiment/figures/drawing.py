"""From what a plan asks for to files: one module draws each form, and everything they share is added here.

A figure shows what there is and says what is missing; without anything to show it is left out. The same results give
the same bytes. Drawn with matplotlib's objects alone: pyplot keeps every figure in a global list.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from matplotlib.figure import Figure as Canvas

from bench.experiment import labels
from bench.experiment.figures import bars, boxes, curves, style, throughput, timelines
from bench.experiment.figures.parts import Part, Series, parts
from bench.experiment.record import Experiment, Figure, Form
from bench.experiment.results import Results


class Drawing(NamedTuple):
    """One figure, drawn."""

    stem: str
    """Of its files; unique within an experiment's results."""
    caption: str
    svg: bytes
    png: bytes


@dataclass(frozen=True, slots=True)
class _Form:
    paint: Callable[[Canvas, Results, Part], list[Series]]
    how: str
    """To read it."""
    height: float
    filled: bool


FORMS: Final[Mapping[Form, _Form]] = {
    Form.BOXES: _Form(boxes.paint, boxes.HOW, boxes.HEIGHT, boxes.FILLED),
    Form.CURVES: _Form(curves.paint, curves.HOW, curves.HEIGHT, curves.FILLED),
    Form.MEMORY: _Form(
        timelines.paint_memory, timelines.HOW_MEMORY, timelines.HEIGHT, timelines.FILLED
    ),
    Form.PROCESSORS: _Form(
        timelines.paint_processors, timelines.HOW_PROCESSORS, timelines.HEIGHT, timelines.FILLED
    ),
    Form.BARS: _Form(bars.paint, bars.HOW, bars.HEIGHT, bars.FILLED),
    Form.THROUGHPUT: _Form(throughput.paint, throughput.HOW, throughput.HEIGHT, throughput.FILLED),
}


def draw_all(results: Results) -> dict[str, list[Drawing]]:
    """By experiment, in the plan's order."""
    return {
        experiment.name: [
            drawing
            for figure in experiment.figures
            for drawing in draw(results, experiment, figure)
        ]
        for experiment in results.summary.experiments
    }


def draw(results: Results, experiment: Experiment, figure: Figure) -> list[Drawing]:
    """One for each value of `figure.each`; fewer, or none, where no run was valid."""
    drawn = (_one(results, experiment, figure, part) for part in parts(experiment, figure))
    return [drawing for drawing in drawn if drawing]


def _one(results: Results, experiment: Experiment, figure: Figure, part: Part) -> Drawing | None:
    form = FORMS[figure.form]
    with style.canvas(form.height) as canvas:
        shown = form.paint(canvas, results, part)
        if not shown:
            return None
        if len(shown) > 1 or shown[0].label:
            samples = [style.sample(each.look, each.label, filled=form.filled) for each in shown]
            style.legend(canvas, samples)
        missing = [series.label for series in part.series if series not in shown]
        if remark := _remark(experiment, missing):
            style.note(canvas, remark)
        stem = _stem(experiment, figure, part)
        caption = _caption(figure, part, form.how)
        return Drawing(stem, caption, style.svg(canvas, stem), style.png(canvas))


def _remark(experiment: Experiment, missing: Sequence[str]) -> str:
    remarks = []
    if experiment.compression != 1:
        remarks.append(f"Time compressed {labels.number(experiment.compression)} times.")
    if missing:
        remarks.append(f"No valid run: {'; '.join(missing)}.")
    return " ".join(remarks)


def _stem(experiment: Experiment, figure: Figure, part: Part) -> str:
    by = "" if figure.series == labels.SYSTEM else f"by-{figure.series}"
    words = [experiment.name, figure.form, by, figure.each, part.value]
    return "-".join(re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-") for word in words if word)


def _caption(figure: Figure, part: Part, how: str) -> str:
    title = (
        f"{figure.title.rstrip('.')}: {part.label}."
        if part.label
        else f"{figure.title.rstrip('.')}."
    )
    like = f" Compare the dissertation's {figure.like}." if figure.like else ""
    return f"{title} {how}{like}"
