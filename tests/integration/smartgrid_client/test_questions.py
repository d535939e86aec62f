"""A customer who looks: averages in civil time, alarms, conflicts. Nothing is written that was not asked for."""

import datetime as dt
from pathlib import Path

import pytest

from tests.integration.smartgrid_client.command_line import arguments, run
from tests.integration.smartgrid_client.conftest import AttestedPlace, Place

HOUR = 3600
SPRING = int(dt.datetime(2007, 3, 23, 23, tzinfo=dt.UTC).timestamp())
"""24 March 2007, 00:00 in Paris; the day after has 23 hours."""


@pytest.fixture
def place(attested: AttestedPlace) -> AttestedPlace:
    return attested


@pytest.fixture
def command(place: AttestedPlace, tmp_path: Path) -> list[str]:
    return [*arguments(place, tmp_path), "--policy", str(place.policy), "--mode", "customer"]


async def test_by_default_a_customer_only_asks(place: Place, command: list[str]) -> None:
    """Seen: half of the requests stored alarms that were made up."""
    result = await run(command, "--duration", "0.4", "--frequency", "0.02")
    assert result.status == 0, result.err
    assert set(place.stub.requests) == {"login", "query-avg", "logout"}
    assert place.stub.alarms == {}


async def test_alarms_are_added_changed_deleted_and_listed(
    place: Place, command: list[str]
) -> None:
    result = await run(command, "--add-alarm", "power=4000", "--add-alarm", "tension=207.5")
    assert result.status == 0, result.err
    assert "alarm 1: power 4,000 W\nalarm 2: tension 207.5 V\n" in result.out
    result = await run(command, "--change-alarm", "1:power=5000", "--delete-alarm", "2")
    assert "alarm 1: power 5,000 W\n" in result.out
    assert place.stub.alarms == {1: {"metric": "power", "threshold": 5000.0}}
    assert (await run(command, "--delete-alarm", "1")).status == 0
    assert "There are no alarms." in (await run(command, "--alarms")).out
    missing = await run(command, "--change-alarm", "9:power=1")
    assert missing.status == 1
    assert "unknown_alarm" in missing.out


async def test_conflicts_are_listed(place: Place, command: list[str]) -> None:
    assert "No reading differs" in (await run(command, "--conflicts")).out
    place.stub.conflicts = [
        {"id": 1, "timestamp": SPRING, "metric": "power", "value": 1.5, "stored": 2.0}
    ]
    result = await run(command, "--conflicts")
    assert result.status == 0
    assert "2007-03-23T23:00:00Z  power 1.5 W, stored is 2.0" in result.out


@pytest.mark.parametrize("environ", [{}, {"TZ": "Europe/Paris"}])
async def test_days_are_listed_as_those_of_the_zone_with_23_hours_where_clocks_change(
    place: Place, command: list[str], environ: dict[str, str]
) -> None:
    """Seen: a bucket without a chart did nothing."""
    rows = [[SPRING + HOUR * n, 1.0, 1.0, 1.0] for n in range(24 + 23 + 24)]
    place.stub.batches.append(rows)
    zone = [] if environ else ["--tz", "Europe/Paris"]
    result = await run(command, "--bucket", "1d", *zone, environ=environ)
    assert result.status == 0, result.err
    assert "Average power per day, time in Europe/Paris:" in result.out
    assert "2007-03-24 00:00  1.00 W  24 readings" in result.out
    assert "2007-03-25 00:00  1.00 W  23 readings" in result.out
    assert "2007-03-26 00:00  1.00 W  24 readings" in result.out


async def test_a_period_is_of_the_zone_too(place: Place, command: list[str]) -> None:
    place.stub.batches.append([[SPRING + HOUR * n, 1.0, 1.0, 1.0] for n in range(48)])
    more = ["--start", "2007-03-25", "--end", "2007-03-26", "--tz", "Europe/Paris"]
    result = await run(command, "--bucket", "1d", *more)
    assert "2007-03-25 00:00  1.00 W  23 readings" in result.out
    assert "2007-03-24" not in result.out


async def test_four_years_are_drawn_with_a_bucket_that_suits(
    place: Place, command: list[str]
) -> None:
    """Seen: the default chart of four years was refused."""
    day = 24 * HOUR
    place.stub.batches.append([[SPRING + day * n, float(n), 1.0, 1.0] for n in range(4 * 365)])
    result = await run(command, "--chart")
    assert result.status == 0, result.err
    assert "Average power per month" in result.out
    assert "2008" in result.out
    assert "2010" in result.out


async def test_too_many_buckets_are_refused_with_advice_that_helps(
    place: Place, command: list[str]
) -> None:
    place.stub.batches.append([[0, 1.0, 1.0, 1.0], [SPRING, 1.0, 1.0, 1.0]])
    result = await run(command, "--bucket", "1m")
    assert result.status == 2
    assert "one per 7 days fits" in result.err
    assert place.stub.tokens == set()
    assert (await run(command, "--bucket", "7d")).status == 0


async def test_the_whole_of_time_is_drawn_and_listed(place: Place, command: list[str]) -> None:
    """Seen: an error about the year 10000, and 93 seconds for a chart."""
    place.stub.batches.append([[0, 1.0, 1.0, 1.0], [253_402_300_799, 3.0, 1.0, 1.0]])
    result = await run(command, "--chart", "--bucket", "1200mo")
    assert result.status == 0, result.err
    assert "1 Jan 1970 to 31 Dec 9999" in result.out
    result = await run(command, "--bucket", "100y")
    assert "9900-01-01 00:00  3.00 W  1 reading" in result.out


async def test_years_that_there_are_not_are_refused(place: Place, command: list[str]) -> None:
    for text in ("1969-01-01", "253402300800"):
        result = await run(command, "--chart", "--start", text)
        assert result.status == 2
        assert "is not within the years 1970 to 9999" in result.err
    assert place.stub.requests == []


async def test_one_thing_is_asked_for_at_a_time(place: Place, command: list[str]) -> None:
    result = await run(command, "--alarms", "--chart")
    assert result.status == 2
    assert "are asked for one at a time" in result.err
    assert place.stub.requests == []
