"""What is written is read back; batches lose and repeat nothing; averages are the mean."""

import datetime as dt
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from smartgrid_client.averages import averages
from smartgrid_client.batches import BatchSize, batches, densify
from smartgrid_client.messages import Metric
from smartgrid_client.readings import Reading, Skips, plain_lines, read_lines

values = st.floats(-1e12, 1e12)
readings = st.builds(
    Reading, st.integers(0, 4_000_000_000), values, values | st.none(), values | st.none()
)
moderate = st.floats(-1e6, 1e6)
in_order = st.lists(
    st.builds(Reading, st.integers(0, 5000), moderate, moderate, moderate),
    unique_by=lambda each: each.timestamp,
).map(sorted)
sizes = st.one_of(
    st.builds(BatchSize, rows=st.integers(1, 50)),
    st.builds(BatchSize, seconds=st.integers(1, 4000)),
)
thousandths = st.integers(0, 99_999)


@given(st.lists(readings))
def test_plain_files_read_back_as_the_same_readings(written: list[Reading]) -> None:
    skips: Skips = Counter()
    assert list(read_lines(plain_lines(written), skips)) == written
    assert not skips


@given(
    st.integers(1_136_073_600, 1_300_000_000),
    thousandths,
    thousandths,
    thousandths,
)
def test_household_lines_read_back_as_what_was_measured(
    timestamp: int, watts: int, millivolts: int, milliamperes: int
) -> None:
    moment = dt.datetime.fromtimestamp(timestamp, dt.UTC)
    line = (
        f"{moment.day}/{moment.month}/{moment.year};{moment:%H:%M:%S};"
        f"{watts / 1000:.3f};0.1;{millivolts / 1000:.3f};{milliamperes / 1000:.3f};0;0;0"
    )
    header = "Date;Time;Global_active_power;Global_reactive_power;Voltage;Global_intensity;a;b;c"
    (reading,) = read_lines([header, line], Counter())
    assert reading.timestamp == timestamp
    assert reading.power == watts
    assert reading.tension == millivolts / 1000
    if milliamperes == 0:
        assert reading.impedance is None
    else:
        assert reading.impedance == (millivolts / 1000) / (milliamperes / 1000)


@given(st.lists(readings), sizes)
def test_batches_hold_every_reading_exactly_once(
    given_readings: list[Reading], size: BatchSize
) -> None:
    made = list(batches(given_readings, size))
    assert Counter(row for batch in made for row in batch.rows) == Counter(given_readings)
    assert all(batch.rows for batch in made)
    if size.seconds is not None:
        assert all(
            len({row.timestamp // size.seconds for row in batch.rows}) == 1 for batch in made
        )
    if size.rows is not None:
        assert [row for batch in made for row in batch.rows] == given_readings
        assert all(len(batch.rows) == size.rows for batch in made[:-1])


@given(in_order, st.integers(1, 4000), st.integers(0, 20))
def test_batches_of_a_duration_do_not_depend_on_where_reading_began(
    found: list[Reading], length: int, missing: int
) -> None:
    size = BatchSize(seconds=length)
    whole = [batch.rows for batch in batches(found, size)]
    later = [batch.rows for batch in batches(found[missing:], size)]
    assert later[1:] == whole[len(whole) - len(later) + 1 :]


@given(in_order, st.sampled_from([1, 5, 15, 20, 30, 60]))
def test_held_readings_are_in_order_and_say_nothing_new(found: list[Reading], step: int) -> None:
    dense = list(densify(found, step))
    times = [each.timestamp for each in dense]
    assert times == sorted(set(times))
    by_time = {each.timestamp: each for each in found}
    assert set(by_time) <= set(times)
    for each in dense:
        origin = max(time for time in by_time if time <= each.timestamp)
        assert each[1:] == by_time[origin][1:]
        assert each.timestamp - origin < 60


@given(in_order, st.integers(0, 5000), st.integers(1, 5000), st.integers(1, 700))
def test_averages_are_those_of_the_period_and_its_buckets(
    found: list[Reading], start: int, length: int, bucket: int
) -> None:
    answer = averages(found, Metric.POWER, start, start + length, bucket)
    wanted = [each.power or 0 for each in found if start <= each.timestamp < start + length]
    assert answer.count == len(wanted) == sum(each.count for each in answer.buckets)
    if not wanted:
        assert answer.average is None
        return
    assert answer.average is not None
    assert abs(answer.average - sum(wanted) / len(wanted)) < 1e-6
    assert all(each.start % bucket == 0 and each.count for each in answer.buckets)
    assert min(wanted) - 1e-6 <= answer.average <= max(wanted) + 1e-6
