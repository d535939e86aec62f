"""Averages and batches of the encrypted database against plain Python."""

import contextlib
import dataclasses
import itertools
import math
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smartgrid_server import database
from smartgrid_server.averaging import Period
from smartgrid_server.database import Database
from smartgrid_server.hours import HOUR
from smartgrid_server.messages import LAST_SECOND, VALUE_LIMIT, Metric, Row
from tests.support.smartgrid import secret

times = st.integers(0, 300) | st.integers(0, 5 * HOUR) | st.integers(0, LAST_SECOND - 1)
values = st.floats(-VALUE_LIMIT, VALUE_LIMIT)
rows = st.tuples(times, values, values | st.none(), values | st.none())
COLUMN = {Metric.POWER: 1, Metric.IMPEDANCE: 2, Metric.TENSION: 3}


@contextlib.contextmanager
def empty() -> Iterator[Database]:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / database.FILE_NAME
        database.create(file, secret())
        with contextlib.closing(Database.open(file, secret())) as opened:
            yield opened


def mean(numbers: list[float]) -> float:
    return math.fsum(numbers) / len(numbers)


def close(numbers: list[float]) -> float:
    """How far an average may be off: rounding of sums of numbers of this size."""
    return 1e-12 * max(map(abs, numbers))


@settings(max_examples=60, deadline=None)
@given(
    stored=st.lists(rows, max_size=40, unique_by=lambda row: row[0]),
    metric=st.sampled_from(Metric),
    start=times,
    length=st.integers(1, LAST_SECOND),
    bucket=st.integers(1, 400)
    | st.integers(1, LAST_SECOND)
    | st.integers(1, 99).map(lambda n: n * HOUR),
)
def test_averages_are_those_of_plain_python(
    stored: list[Row], metric: Metric, start: int, length: int, bucket: int
) -> None:
    end = min(start + length, LAST_SECOND)
    expected: dict[int, list[float]] = defaultdict(list)
    for row in stored:
        value = row[COLUMN[metric]]
        if start <= row[0] < end and value is not None:
            expected[row[0] // bucket * bucket].append(float(value))
    with empty() as db:
        # in several batches, late ones and repeated ones among them
        for number in (1, 0, 2, 1):
            db.store(stored[number::3])
        found = db.averages(metric, Period(start, end, bucket), len(stored) + 1)
    numbers = [number for numbers in expected.values() for number in numbers]
    assert found.count == len(numbers)
    if numbers:
        assert found.average == pytest.approx(mean(numbers), rel=1e-9, abs=close(numbers))
    else:
        assert found.average is None
    assert [(each.start, each.count) for each in found.buckets] == [
        (first, len(expected[first])) for first in sorted(expected)
    ]
    for each in found.buckets:
        inside = expected[each.start]
        assert each.average == pytest.approx(mean(inside), rel=1e-9, abs=close(inside))


few_times = st.integers(3590, 3610)
few_values = st.sampled_from([1.0, 2.0, 3.0])
few_rows = st.tuples(few_times, few_values, few_values | st.none(), few_values | st.none())


@settings(max_examples=30, deadline=None)
@given(
    sent=st.lists(
        st.tuples(st.lists(few_rows, max_size=6), st.booleans()), min_size=1, max_size=12
    ),
    repeats=st.lists(st.integers(0, 11), max_size=12),
)
def test_each_reading_is_stored_once_and_no_value_is_lost_whatever_is_sent(
    sent: list[tuple[list[Row], bool]], repeats: list[int]
) -> None:
    """Against a plain dictionary: batches overlap, come again and correct each other."""
    sent += [sent[index % len(sent)] for index in repeats]
    model: dict[tuple[int, Metric], float] = {}
    told: set[tuple[int, Metric, float]] = set()
    with empty() as db:
        for batch, correct in sent:
            counts = db.store(batch, correct=correct)
            assert sum(dataclasses.astuple(counts)) == len(batch)
            for row in batch:
                for metric, column in COLUMN.items():
                    value = row[column]
                    if value is None:
                        continue
                    told.add((row[0], metric, value))
                    if correct or (row[0], metric) not in model:
                        model[row[0], metric] = value
        apart = {(each.timestamp, each.metric, each.value) for each in db.conflicts(0, 1000)}
        stored = {(*key, value) for key, value in model.items()}
        assert apart == told - stored
        for metric in Metric:
            mine = [value for (_, each), value in model.items() if each is metric]
            found = db.averages(metric, Period(0, LAST_SECOND), 1)
            assert found.count == len(mine)
            assert found.average == (pytest.approx(mean(mine)) if mine else None)


@settings(max_examples=40, deadline=None)
@given(
    stored=st.lists(rows, max_size=40, unique_by=lambda row: row[0]),
    edges=st.lists(times, min_size=2, max_size=9, unique=True).map(sorted),
)
def test_buckets_between_edges_are_those_of_plain_python(
    stored: list[Row], edges: list[int]
) -> None:
    with empty() as db:
        db.store(stored)
        period = Period(edges[0], edges[-1], edges=tuple(edges))
        found = db.averages(Metric.POWER, period, 9)
    expected: list[tuple[int, int, object]] = []
    for start, end in itertools.pairwise(edges):
        inside = [row[1] for row in stored if start <= row[0] < end and row[1] is not None]
        if inside:
            expected.append((start, len(inside), pytest.approx(mean(inside), abs=close(inside))))
    assert [(each.start, each.count, each.average) for each in found.buckets] == expected
