"""Batches of real readings have the dissertation's sizes, whatever the order of the readings."""

import pytest

from smartgrid_client.averages import averages
from smartgrid_client.batches import MOST_OPEN, Batch, BatchSize, batches, densify
from smartgrid_client.generator import generate
from smartgrid_client.messages import Metric
from smartgrid_client.readings import Reading, sample_readings

HOUR = 3600


@pytest.mark.parametrize(("hours", "rows", "whole"), [(1, 240, 143), (3, 720, 47), (12, 2880, 11)])
def test_whole_batches_of_15_second_readings(hours: int, rows: int, whole: int) -> None:
    found = list(batches(densify(sample_readings()), BatchSize(seconds=hours * HOUR)))
    sizes = [len(each.rows) for each in found]
    assert sizes.count(rows) == whole
    assert sum(sizes) == (6 * 1440 - 2) * 4
    assert [each for each in sizes if each != rows] == [rows - 8]  # the two missing minutes


def test_readings_of_several_sources_in_turns_are_collected_into_their_batches() -> None:
    """Seen: a batch for each row."""
    sources = [list(generate(start, start + HOUR, "seed")) for start in (0, 48 * HOUR, 24 * HOUR)]
    in_turns = [each for rows in zip(*sources, strict=True) for each in rows]
    made = list(batches(in_turns, BatchSize(seconds=HOUR)))
    assert [list(each.rows) for each in made] == sources


def test_what_is_collected_at_once_is_bounded_and_nothing_is_left_out() -> None:
    hours = MOST_OPEN + 5
    readings = [Reading(HOUR * (n % hours) + n, 1, 1, 1) for n in range(3 * hours)]
    made = list(batches(readings, BatchSize(seconds=HOUR)))
    assert sorted(row for each in made for row in each.rows) == sorted(readings)
    assert len(made) > hours


def test_a_batch_is_cut_into_halves() -> None:
    rows = tuple(generate(0, 75, "seed"))
    first, second = Batch(rows).halves()
    assert (len(first.rows), len(second.rows)) == (3, 2)
    assert first.rows + second.rows == rows


def test_holding_readings_does_not_change_averages_over_whole_minutes() -> None:
    readings = list(sample_readings())
    sparse = averages(readings, Metric.POWER, bucket=HOUR)
    dense = averages(densify(readings), Metric.POWER, bucket=HOUR)
    assert dense.count == 4 * sparse.count
    assert [each.average for each in dense.buckets] == pytest.approx(
        [each.average for each in sparse.buckets]
    )


def test_a_gap_stays_a_gap() -> None:
    found = densify([Reading(0, 1, 1, 1), Reading(600, 2, 2, 2)])
    assert [each.timestamp for each in found] == [0, 15, 30, 45, 600, 615, 630, 645]


def test_a_held_value_ends_where_the_next_reading_begins() -> None:
    found = densify([Reading(0, 1, 1, 1), Reading(30, 2, 2, 2)])
    assert [(each.timestamp, each.power) for each in found][:4] == [
        (0, 1),
        (15, 1),
        (30, 2),
        (45, 2),
    ]


@pytest.mark.parametrize("step", [0, -15, 7])
def test_uneven_steps_are_refused(step: int) -> None:
    with pytest.raises(ValueError, match="cannot be divided"):
        densify([], step)


@pytest.mark.parametrize("size", [{}, {"rows": 0}, {"seconds": 0}, {"rows": 1, "seconds": 1}])
def test_a_batch_size_is_rows_or_a_duration(size: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="a number of rows or a duration"):
        BatchSize(**size)


def test_made_up_readings_agree_wherever_two_runs_overlap() -> None:
    whole = list(generate(0, HOUR, "customer-0001"))
    assert list(generate(900, 1800, "customer-0001")) == whole[60:120]
    assert list(generate(0, HOUR, "customer-0002")) != whole


def test_a_made_up_day_looks_like_a_household() -> None:
    day = list(generate(0, 86_400, "customer-0001"))
    night = averages(day, Metric.POWER, 2 * HOUR, 4 * HOUR).average
    evening = averages(day, Metric.POWER, 18 * HOUR, 22 * HOUR).average
    assert night is not None
    assert evening is not None
    assert 80 < night < evening / 2 < 3000
    assert all(215 < (each.tension or 0) < 240 and (each.impedance or 0) > 0 for each in day)


def test_averages_of_nothing_are_none() -> None:
    readings = [Reading(10, 1, 1, 1), Reading(12, 1, 1, None)]
    found = averages(readings, Metric.TENSION, start=11, bucket=60)
    assert (found.count, found.average, found.buckets) == (0, None, [])
