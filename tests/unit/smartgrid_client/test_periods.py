"""Lengths, and where buckets begin in civil time."""

import datetime as dt
import itertools

import pytest

from smartgrid_client.messages import LAST_SECOND
from smartgrid_client.moments import Clock, zone_named
from smartgrid_client.periods import DAY, HOUR, MOST, Bucket, bucket, edges, fitting, local

PARIS = zone_named("Europe/Paris")


def at(text: str, zone: dt.tzinfo = PARIS) -> int:
    return Clock(zone).read(text)


def steps(found: list[int]) -> list[int]:
    return [end - start for start, end in itertools.pairwise(found)]


@pytest.mark.parametrize(
    ("text", "length", "words"),
    [
        ("90", Bucket(90), "90 seconds"),
        ("15m", Bucket(900), "15 minutes"),
        ("1h", Bucket(HOUR), "hour"),
        ("7D", Bucket(7 * DAY), "7 days"),
        ("1w", Bucket(7 * DAY), "7 days"),
        ("1mo", Bucket(months=1), "month"),
        ("2y", Bucket(months=24), "2 years"),
    ],
)
def test_lengths(text: str, length: Bucket, words: str) -> None:
    assert bucket(text) == length
    assert str(length) == words


@pytest.mark.parametrize("text", ["", "0", "-1h", "1.5h", "1 fortnight", "h", "1_0", "٣h"])
def test_what_is_no_length(text: str) -> None:
    with pytest.raises(ValueError, match="expected whole seconds"):
        bucket(text)


@pytest.mark.parametrize(
    ("first", "last", "hours"),
    [("2007-03-24", "2007-03-26", [24, 23, 24]), ("2007-10-27", "2007-10-29", [24, 25, 24])],
)
def test_civil_days_have_23_and_25_hours_where_clocks_change(
    first: str, last: str, hours: list[int]
) -> None:
    found = edges(at(first), at(last), Bucket(DAY), PARIS)
    assert steps(found) == [HOUR * each for each in hours]
    assert found[0] == at(first)


def test_hours_are_as_many_as_the_day_has_and_six_hours_are_those_of_the_clock() -> None:
    day = (at("2007-10-28"), at("2007-10-28T23:59"))
    assert steps(edges(*day, Bucket(HOUR), PARIS)) == [HOUR] * 25
    assert steps(edges(*day, Bucket(6 * HOUR), PARIS)) == [7 * HOUR, *[6 * HOUR] * 3]
    spring = (at("2007-03-25"), at("2007-03-25T23:59"))
    assert steps(edges(*spring, Bucket(HOUR), PARIS)) == [HOUR] * 23
    assert steps(edges(*spring, Bucket(6 * HOUR), PARIS)) == [5 * HOUR, *[6 * HOUR] * 3]


def test_hours_begin_with_the_local_hour_where_zones_are_half_hours_apart() -> None:
    kolkata = zone_named("Asia/Kolkata")
    found = edges(
        at("2007-02-01T10:10", kolkata), at("2007-02-01T11:10", kolkata), Bucket(HOUR), kolkata
    )
    assert [f"{local(each, kolkata):%H:%M}" for each in found] == ["10:00", "11:00", "12:00"]


def test_weeks_begin_on_monday_and_months_and_years_on_their_first_day() -> None:
    period = (at("2007-02-01T12:00"), at("2007-04-01T12:00"))
    weeks = [local(each, PARIS) for each in edges(*period, Bucket(7 * DAY), PARIS)]
    assert {each.weekday() for each in weeks} == {0}
    assert {each.hour for each in weeks} == {0}
    months = [local(each, PARIS) for each in edges(*period, Bucket(months=1), PARIS)]
    assert [f"{each:%Y-%m-%d %H}" for each in months] == [
        "2007-02-01 00", "2007-03-01 00", "2007-04-01 00", "2007-05-01 00",
    ]  # fmt: skip
    years = [local(each, PARIS).year for each in edges(*period, Bucket(months=24), PARIS)]
    assert years == [2006, 2008]


def test_other_lengths_follow_each_other_from_midnight_on() -> None:
    found = edges(at("2007-02-01T00:10"), at("2007-02-01T00:20"), Bucket(7 * 60), PARIS)
    assert [(each - at("2007-02-01")) // 60 for each in found] == [7, 14, 21]


@pytest.mark.parametrize(
    "zone", [dt.UTC, PARIS, zone_named("America/New_York"), zone_named("Asia/Kolkata")]
)
@pytest.mark.parametrize("length", [HOUR, 6 * HOUR, DAY, 7 * DAY, 7 * 60])
def test_the_first_and_the_last_seconds_there_are_have_buckets(
    zone: dt.tzinfo, length: int
) -> None:
    """Seen: 7 days at the end of the year 9999 ended in the year 10000."""
    for first, last in ((0, 10), (LAST_SECOND - 10, LAST_SECOND - 1)):
        found = edges(first, last, Bucket(length), zone)
        assert found == sorted(set(found))
        assert found[0] <= first
        assert last < found[-1]
        assert found[0] >= 0


def test_the_whole_of_time_has_buckets_that_suit() -> None:
    suits = fitting(0, LAST_SECOND, 200)
    assert suits == Bucket(months=1200)
    found = edges(0, LAST_SECOND - 1, suits, PARIS)
    assert len(found) < 100
    assert found[-1] == LAST_SECOND


@pytest.mark.parametrize(
    ("days", "suits"),
    [(1 / 24, 60), (1, 900), (2, 900), (7, HOUR), (30, 6 * HOUR), (150, DAY), (1300, 7 * DAY)],
)
def test_a_bucket_is_chosen_to_suit_the_period(days: float, suits: int) -> None:
    assert fitting(0, int(days * DAY), 200) == Bucket(suits)


def test_four_years_have_buckets_that_suit_and_are_not_refused() -> None:
    first, last = at("2007-01-01"), at("2011-01-01")
    assert fitting(first, last, 200) == Bucket(months=1)
    assert len(edges(first, last - 1, Bucket(months=1), PARIS)) == 49


def test_too_many_buckets_are_refused_with_a_length_that_fits() -> None:
    with pytest.raises(ValueError, match=r"longer buckets \(one per 5 minutes fits\)"):
        edges(0, 10 * DAY, Bucket(1), dt.UTC)
    assert len(edges(0, MOST - 1, Bucket(1), dt.UTC)) == MOST + 1
