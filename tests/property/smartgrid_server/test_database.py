"""Averages and batches of the encrypted database against plain Python."""

import contextlib
import math
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smartgrid_server import database
from smartgrid_server.database import Database, Period
from smartgrid_server.errors import BatchMismatchError
from smartgrid_server.hours import HOUR
from smartgrid_server.messages import LAST_SECOND, VALUE_LIMIT, Metric, Row
from tests.support.smartgrid import secret

times = st.integers(0, 300) | st.integers(0, 5 * HOUR) | st.integers(0, LAST_SECOND - 1)
values = st.floats(-VALUE_LIMIT, VALUE_LIMIT)
rows = st.tuples(times, values, values, values)
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
    stored=st.lists(rows, max_size=40),
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
    chosen = [row for row in stored if start <= row[0] < end]
    expected: dict[int, list[float]] = defaultdict(list)
    for row in chosen:
        expected[row[0] // bucket * bucket].append(float(row[COLUMN[metric]]))
    with empty() as db:
        # in several batches, late ones and repeated ones among them
        for number in (1, 0, 2, 1):
            db.long_write(f"{number}", stored[number::3])
        found = db.averages(metric, Period(start, end, bucket), len(stored) + 1)
    numbers = [number for numbers in expected.values() for number in numbers]
    assert found.count == len(chosen)
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


@settings(max_examples=40, deadline=None)
@given(
    sent=st.lists(
        st.tuples(st.sampled_from("abc"), st.lists(rows, max_size=3)), min_size=1, max_size=12
    ),
    repeats=st.lists(st.integers(0, 11), max_size=12),
)
def test_every_batch_is_stored_once_whatever_is_sent_again(
    sent: list[tuple[str, list[Row]]], repeats: list[int]
) -> None:
    sent += [sent[index % len(sent)] for index in repeats]
    model: dict[str, list[Row]] = {}
    with empty() as db:
        for batch_id, batch in sent:
            known = model.get(batch_id)
            if known is not None and known != batch:
                with pytest.raises(BatchMismatchError):
                    db.long_write(batch_id, batch)
                continue
            reply = db.long_write(batch_id, batch)
            assert reply.duplicate == (known is not None)
            assert reply.stored == (0 if reply.duplicate else len(batch))
            model[batch_id] = batch
        count = db.averages(Metric.POWER, Period(0, LAST_SECOND), 1).count
    assert count == sum(map(len, model.values()))
