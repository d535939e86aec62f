"""Moments in every form that people write, and civil time where clocks change."""

import datetime as dt

import pytest

from smartgrid_client.moments import Clock, name_of, zone_named, zone_of

PARIS = zone_named("Europe/Paris")
FIRST = 1_170_288_000
"""1 February 2007, 00:00 UTC."""


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1170288000", FIRST),
        ("2007-02-01", FIRST),
        ("2007-02-01T18:00", FIRST + 18 * 3600),
        ("2007-02-01 18:00:30", FIRST + 18 * 3600 + 30),
        ("2007-02-01T18:00+02:00", FIRST + 16 * 3600),
        ("2007-02-01T18:00:00Z", FIRST + 18 * 3600),
        ("2007-02-01T18:00:00.000-01:00", FIRST + 19 * 3600),
        ("1/2/2007", FIRST),
        ("01/02/2007 18:00:30", FIRST + 18 * 3600 + 30),
        ("0", 0),
        ("9999-12-31T23:59:59Z", 253_402_300_799),
    ],
)
def test_moments_are_utc_unless_they_say_otherwise(text: str, moment: int) -> None:
    assert Clock().read(text) == moment


def test_a_moment_without_a_zone_is_of_the_clock_and_one_with_a_zone_is_not() -> None:
    assert Clock(PARIS).read("2007-02-01") == FIRST - 3600
    assert Clock(PARIS).read("1/7/2007 12:00:00") == 1_183_284_000
    assert Clock(PARIS).read("2007-02-01T00:00Z") == FIRST
    assert Clock(PARIS).read("1170288000") == FIRST


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected Unix seconds, 2007-02-01T18:00:00+01:00"),
        ("yesterday", "expected Unix seconds"),
        ("7d", "expected Unix seconds"),
        ("31/2/2007", "'31/2/2007' is no time"),
        ("2007-13-01", "is no time"),
        ("1170288000000", "Unix seconds, not milliseconds"),
        ("1_170_288_000", "is no time"),
        ("١١٧٠٢٨٨٠٠٠", "is no time"),
        ("-5", "is no time"),
        ("2007-02-01T00:00:00.5", "between two seconds"),
        ("1969-12-31", "is not within the years 1970 to 9999"),
        ("253402300800", "is not within the years 1970 to 9999"),
        ("9999-12-31T23:59:59-05:00", "is not within the years 1970 to 9999"),
        ("0001-01-01", "is not within the years 1970 to 9999"),
        ("0001-01-01T00:00+05:00", "is not within the years 1970 to 9999"),
    ],
)
def test_what_is_no_moment_is_refused_with_what_was_expected(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"expected|not within|not milliseconds") as caught:
        Clock().read(text)
    assert said in str(caught.value)


def test_a_time_that_clocks_skip_is_no_moment() -> None:
    with pytest.raises(ValueError, match=r"no 2007-03-25 02:30:00 in Europe/Paris"):
        Clock(PARIS).read("25/3/2007 02:30:00")


def test_an_hour_that_clocks_repeat_is_read_in_the_order_of_the_file() -> None:
    """28 October 2007 has 25 hours in Paris: 100 quarters from midnight to midnight, none twice."""
    day = dt.datetime(2007, 10, 28)  # noqa: DTZ001  # as a file without zones has it
    written = [day + dt.timedelta(minutes=15 * n) for n in range(96)]
    written[12:12] = written[8:12]
    clock = Clock(PARIS)
    found = [clock.read(f"{each:%d/%m/%Y %H:%M:%S}") for each in written]
    assert found == list(range(found[0], found[0] + 25 * 3600, 900))


def test_lines_of_another_time_do_not_matter_for_the_repeated_hour() -> None:
    clock = Clock(PARIS)
    clock.read("2008-01-01")
    found = [clock.read(f"28/10/2007 02:{minute}:00") for minute in ("00", "30", "00", "30")]
    assert found == list(range(found[0], found[0] + 7200, 1800))


def test_the_zone_is_tz_unless_that_names_none() -> None:
    assert zone_of({}) == (dt.UTC, None)
    assert zone_of({"TZ": ":Europe/Paris"}) == (PARIS, None)
    assert zone_of({"TZ": "UTC"}) == (dt.UTC, None)
    zone, warning = zone_of({"TZ": "CET-1CEST,M3.5.0,M10.5.0/3"})
    assert zone is dt.UTC
    assert warning is not None
    assert "--tz" in warning
    assert (name_of(PARIS), name_of(dt.UTC)) == ("Europe/Paris", "UTC")


@pytest.mark.parametrize(
    "name", ["Europe/Atlantis", "../etc/passwd", "/etc/localtime", "", "Europe"]
)
def test_what_is_no_zone(name: str) -> None:
    with pytest.raises(ValueError, match="there is no time zone"):
        zone_named(name)
