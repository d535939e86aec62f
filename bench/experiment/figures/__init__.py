"""Figures of an experiment, as SVG for pages and PNG for everything else; `drawing.py` is where to begin."""

from bench.experiment.figures.drawing import Drawing, draw, draw_all

__all__ = ["Drawing", "draw", "draw_all"]
