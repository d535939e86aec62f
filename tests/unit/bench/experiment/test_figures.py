"""Figures: every form is drawn as files that others can read, says what it must, and is the same each time."""

import re
import struct
from xml.etree import ElementTree as ET

import msgspec
import numpy as np
import pytest

from bench.experiment.figures import Drawing, draw, style
from bench.experiment.figures.bars import saving
from bench.experiment.figures.boxes import statistics
from bench.experiment.figures.curves import curve
from bench.experiment.figures.drawing import FORMS
from bench.experiment.figures.parts import parts
from bench.experiment.figures.timelines import averaged
from bench.experiment.record import Experiment, Figure, Form, System
from bench.experiment.results import Results
from tests.support.experiment_results import build


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return Results(build(tmp_path_factory.mktemp("results"), count=40))


def experiment(results: Results, name: str) -> Experiment:
    return next(each for each in results.summary.experiments if each.name == name)


def figure(form: str, **more: str) -> Figure:
    return msgspec.convert({"form": form, "title": "Title", **more}, Figure)


def words(drawing: Drawing) -> list[str]:
    """Text of a figure: outlines on the page, each with its words in a comment before it."""
    return re.findall(r"<!-- (.*?) -->", drawing.svg.decode())


@pytest.fixture(scope="module", params=FORMS)
def drawn(request: pytest.FixtureRequest, results: Results) -> tuple[str, list[Drawing]]:
    """Each form, and what it draws."""
    form = str(request.param)
    return form, draw(results, experiment(results, "type2"), figure(form))


def test_every_form_is_an_svg_and_a_png(drawn: tuple[str, list[Drawing]]) -> None:
    form, (drawing,) = drawn
    root = ET.fromstring(drawing.svg)  # noqa: S314  # our own
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert drawing.png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", drawing.png[16:24])
    assert width == 200 * style.WIDTH
    assert height > 400
    assert drawing.caption.startswith("Title. ")
    assert drawing.stem == f"type2-{form}"


def test_the_same_results_give_the_same_bytes(
    results: Results, drawn: tuple[str, list[Drawing]]
) -> None:
    form, first = drawn
    again = Results(results.directory)
    assert draw(again, experiment(again, "type2"), figure(form)) == first


def test_each_value_of_a_level_has_its_figure(results: Results) -> None:
    drawings = draw(results, experiment(results, "type2"), figure("boxes", each="active"))
    assert [each.stem for each in drawings] == ["type2-boxes-active-56", "type2-boxes-active-7"]
    assert drawings[1].caption.startswith("Title: 7 of 105 users active. ")


@pytest.mark.parametrize("form", ["boxes", "curves", "memory", "processors"])
def test_simulated_launchers_are_called_simulated(results: Results, form: str) -> None:
    (drawing,) = draw(results, experiment(results, "startup"), figure(form))
    assert "simulated enclave" in words(drawing)
    assert "simulated container + enclave" in words(drawing)


def test_simulated_is_said_even_where_the_system_is_no_series(results: Results) -> None:
    (drawing,) = draw(results, experiment(results, "memory"), figure("boxes", series="hours"))
    assert "1 h of readings (simulated enclave)" in words(drawing)


def test_compressed_time_is_said_and_real_time_is_not(results: Results) -> None:
    (compressed,) = draw(results, experiment(results, "type2"), figure("boxes"))
    assert "Time compressed 60 times." in words(compressed)
    (real,) = draw(results, experiment(results, "startup"), figure("boxes"))
    assert not any("compressed" in each for each in words(real))


def test_what_has_no_valid_run_is_named(results: Results) -> None:
    drawings = draw(results, experiment(results, "type2"), figure("boxes", each="active"))
    (remark,) = [each for each in words(drawings[1]) if "No valid run" in each]
    assert remark.endswith("No valid run: on-demand (spawn).")


@pytest.mark.parametrize("form", FORMS)
def test_without_anything_to_show_there_is_no_figure(results: Results, form: str) -> None:
    whole = experiment(results, "type2")
    broken = [cell for cell in whole.cells if not cell.valid]
    assert broken
    assert draw(results, msgspec.structs.replace(whole, cells=broken), figure(form)) == []


def test_every_form_that_a_plan_can_name_is_drawn() -> None:
    assert {*FORMS} == {*Form}


def test_savings_stand_above_standbys_bars(results: Results) -> None:
    (drawing,) = draw(results, experiment(results, "type2"), figure("bars"))
    assert {"\N{MINUS SIGN}46.7 %", "\N{MINUS SIGN}93.3 %"} <= set(words(drawing))


def test_a_saving_is_against_trivial_of_the_same_kind(results: Results) -> None:
    (part,) = parts(experiment(results, "memory"), figure("bars"))
    standby, trivial, enclave, trivial_enclave = part.series
    assert saving(standby, part.series, "active", 7) == pytest.approx(1 - 7 / 105)
    assert saving(enclave, [trivial, trivial_enclave], "active", 7) == pytest.approx(1 - 7 / 105)
    assert saving(enclave, [standby, trivial], "active", 7) is None
    assert saving(trivial, part.series, "active", 7) is None


def test_launchers_are_series_where_there_is_no_system(results: Results) -> None:
    (part,) = parts(experiment(results, "startup"), figure("boxes"))
    assert len(part.series) == 4


def test_several_levels_make_one_series_each(results: Results) -> None:
    (part,) = parts(experiment(results, "type2"), figure("boxes", series="system, active"))
    assert len(part.series) == 6
    assert part.series[0].label == "standby (fork), 56 of 105 users active"
    assert len({series.look for series in part.series}) == 6


def test_systems_look_the_same_everywhere_and_different_from_each_other() -> None:
    looks = {
        style.of_system(System(approach=approach, launcher=launcher))
        for approach in ("standby", "trivial", "on-demand")
        for launcher in ("fork", "spawn", "simulated-enclave", "simulated-container-enclave")
    }
    assert len(looks) >= 10
    assert len({style.numbered(number) for number in range(32)}) == 32


def test_a_box_is_quartiles_and_its_whiskers_end_at_values() -> None:
    box, beyond = statistics(np.array([1.0, 2, 3, 4, 5, 6, 7, 8, 100]))
    assert box == {"q1": 3, "med": 5, "q3": 7, "whislo": 1, "whishi": 8}
    assert beyond.tolist() == [100]


def test_a_curve_keeps_its_ends_when_it_is_thinned() -> None:
    values = np.arange(1.0, 20_001)
    place, shown = curve(values)
    assert len(shown) <= 400
    assert shown[0] == 1
    assert shown[-1] == 20_000
    assert (np.diff(place) > 0).all()


def test_long_timelines_are_averaged() -> None:
    seconds, values = averaged(np.arange(1000.0), np.ones(1000))
    assert len(seconds) == 200
    assert values.tolist() == [1.0] * 200
