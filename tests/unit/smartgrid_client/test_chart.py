"""Charts show what was measured: titles, units, dates, and gaps as gaps."""

import struct
from pathlib import Path

import pytest

from smartgrid_client.averages import averages
from smartgrid_client.chart import (
    Chart,
    choose_bucket,
    length,
    nice_levels,
    png,
    terminal,
    time_ticks,
)
from smartgrid_client.messages import Averages, BucketAverage, Metric
from smartgrid_client.readings import sample_readings

HOUR = 3600
FIRST = 1_170_288_000
"""1 February 2007, 00:00 UTC."""


@pytest.fixture(scope="module")
def month() -> Chart:
    return Chart(averages(sample_readings(), Metric.POWER, bucket=HOUR), HOUR, "customer-0001")


def test_the_title_names_quantity_bucket_user_and_period(month: Chart) -> None:
    assert month.title == "Average power per hour, customer-0001, 1 Feb 2007 to 22 Feb 2007"


def test_days_that_are_not_in_the_file_are_gaps(month: Chart) -> None:
    assert [len(run) for run in month.runs()] == [48, 48, 48]


def test_the_terminal_chart_fits_and_has_axes_with_units_and_dates(month: Chart) -> None:
    lines = terminal(month, 80, 22).splitlines()
    assert len(lines) <= 22
    assert max(len(line) for line in lines) <= 80
    assert "Average power per hour" in lines[0]
    assert any(line.startswith("2,000┤") for line in lines)
    assert "1 Feb" in lines[-2]
    assert "22 Feb" in lines[-2]
    assert "power (W) against time (UTC)" in lines[-1]


def test_the_terminal_keeps_its_own_colours(month: Chart) -> None:
    assert "\x1b" not in terminal(month, 80, 22)


def test_a_single_bucket_can_be_drawn(tmp_path: Path) -> None:
    one = Averages(
        metric=Metric.TENSION, count=1, average=230.0, buckets=[BucketAverage(FIRST, 1, 230.0)]
    )
    chart = Chart(one, HOUR, "u")
    assert "Average tension per hour, u, 1 Feb 2007" in terminal(chart, 60, 15)
    png(chart, tmp_path / "one.png")


def test_the_picture_is_a_png_of_the_promised_size(month: Chart, tmp_path: Path) -> None:
    png(month, tmp_path / "power.png")
    data = (tmp_path / "power.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert struct.unpack(">II", data[16:24]) == (1500, 750)


def test_a_bucket_is_chosen_to_suit_the_period() -> None:
    assert choose_bucket(FIRST, FIRST + HOUR) == 60
    assert choose_bucket(FIRST, FIRST + 48 * HOUR) == 900
    assert choose_bucket(FIRST, FIRST + 7 * 24 * HOUR) == HOUR
    assert choose_bucket(FIRST, None) == HOUR


def test_lengths_in_words() -> None:
    assert [length(each) for each in (1, 90, 900, HOUR, 86_400)] == [
        "second", "90 seconds", "15 minutes", "hour", "day",
    ]  # fmt: skip


def test_levels_are_round_and_around_all_values() -> None:
    assert nice_levels(270, 3453, 5) == [0, 1000, 2000, 3000, 4000]
    assert nice_levels(230, 230, 4) == [200, 300]
    assert nice_levels(0, 0, 4) == [0, 0.5]


def test_ticks_are_round_moments_within_the_chart(month: Chart) -> None:
    ticks = time_ticks(month, 6)
    assert len(ticks) <= 7
    assert all(tick % 86_400 == 0 for tick in ticks)
    assert FIRST <= ticks[0] < ticks[-1] <= FIRST + 22 * 86_400
