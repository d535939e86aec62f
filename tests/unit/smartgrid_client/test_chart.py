"""Charts show what was measured: titles, units, dates, and gaps as gaps."""

import datetime as dt
import struct
import time
from pathlib import Path

import pytest

from smartgrid_client import periods
from smartgrid_client.averages import averages
from smartgrid_client.chart import Chart, nice_levels, png, terminal, time_ticks
from smartgrid_client.curve import Curve, Point
from smartgrid_client.messages import LAST_SECOND, Metric
from smartgrid_client.moments import Clock, zone_named
from smartgrid_client.periods import DAY, HOUR, Bucket
from smartgrid_client.readings import sample_readings

FIRST = 1_170_288_000
"""1 February 2007, 00:00 UTC."""
PARIS = zone_named("Europe/Paris")


def curve(*starts: int, length: Bucket = Bucket(HOUR), zone: dt.tzinfo = dt.UTC) -> Curve:  # noqa: B008  # it is frozen
    points = [
        Point(each, periods.edges(each, each, length, zone)[-1], 1, 230.0 + number % 3)
        for number, each in enumerate(starts)
    ]
    return Curve(Metric.TENSION, length, zone, points)


def between(first: str, last: str, length: Bucket, zone: dt.tzinfo = dt.UTC) -> Curve:
    clock = Clock(zone)
    found = periods.edges(clock.read(first), clock.read(last), length, zone)
    return curve(*found[:-1], length=length, zone=zone)


@pytest.fixture(scope="module")
def month() -> Chart:
    found = averages(sample_readings(), Metric.POWER, bucket=HOUR)
    points = [
        Point(each.start, each.start + HOUR, each.count, each.average or 0)
        for each in found.buckets
    ]
    return Chart(Curve(Metric.POWER, Bucket(HOUR), dt.UTC, points), "customer-0001")


def test_the_title_names_quantity_bucket_user_and_period(month: Chart) -> None:
    assert month.title == "Average power per hour, customer-0001, 1 Feb 2007 to 22 Feb 2007"


def test_days_that_are_not_in_the_file_are_gaps(month: Chart) -> None:
    assert [len(run) for run in month.curve.runs()] == [48, 48, 48]


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
    chart = Chart(curve(FIRST), "u")
    assert "Average tension per hour, u, 1 Feb 2007" in terminal(chart, 60, 15)
    png(chart, tmp_path / "one.png")


def test_the_picture_is_a_png_of_the_promised_size(month: Chart, tmp_path: Path) -> None:
    png(month, tmp_path / "power.png")
    data = (tmp_path / "power.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert struct.unpack(">II", data[16:24]) == (1500, 750)


def test_levels_are_round_and_around_all_values() -> None:
    assert nice_levels(270, 3453, 5) == [0, 1000, 2000, 3000, 4000]
    assert nice_levels(230, 230, 4) == [200, 300]
    assert nice_levels(0, 0, 4) == [0, 0.5]


def test_ticks_are_round_moments_within_the_chart(month: Chart) -> None:
    ticks = list(time_ticks(month.curve, 6))
    assert len(ticks) <= 7
    assert all(tick % DAY == 0 for tick in ticks)
    assert FIRST <= ticks[0] < ticks[-1] <= FIRST + 22 * DAY


def test_ticks_are_midnights_of_the_zone_and_the_axis_says_which_zone() -> None:
    days = between("2007-10-26", "2007-10-30", Bucket(HOUR), PARIS)
    ticks = time_ticks(days, 6)
    assert list(ticks.values()) == [f"{day} Oct" for day in (26, 27, 28, 29, 30)]
    assert {f"{periods.local(each, PARIS):%H:%M}" for each in ticks} == {"00:00"}
    assert "against time (Europe/Paris)" in terminal(Chart(days, "u"), 80, 20)


@pytest.mark.parametrize(
    ("first", "last", "length", "texts"),
    [
        (
            "2007-12-30",
            "2008-01-02",
            Bucket(HOUR),
            ["30 Dec 2007", "31 Dec", "1 Jan 2008", "2 Jan"],
        ),
        (
            "2006-12-01",
            "2007-04-30",
            Bucket(DAY),
            ["Dec 2006", "Jan 2007", "Feb", "Mar", "Apr", "May"],
        ),
        (
            "2007-01-01",
            "2010-12-31",
            Bucket(months=1),
            ["2007", "2008", "2009", "2010", "2011"],
        ),
    ],
)
def test_the_axis_shows_the_year_where_a_chart_has_several(
    first: str, last: str, length: Bucket, texts: list[str]
) -> None:
    ticks = time_ticks(between(first, last, length), 6)
    assert list(ticks.values()) == texts


@pytest.mark.parametrize("length", [Bucket(7 * DAY), Bucket(months=1200)])
def test_far_years_are_drawn_as_fast_as_near_ones(tmp_path: Path, length: Bucket) -> None:
    """Seen: 93 seconds. The year 1 of the epoch and the year 9999, with a bucket that the user chose or with ours."""
    chart = Chart(curve(0, FIRST, LAST_SECOND - 100, length=length), "u")
    began = time.process_time()
    assert "1 Jan 1970 to 31 Dec 9999" in terminal(chart, 100, 22)
    png(chart, tmp_path / "far.png")
    assert time.process_time() - began < 15
    assert len(time_ticks(chart.curve, 12)) <= 13
