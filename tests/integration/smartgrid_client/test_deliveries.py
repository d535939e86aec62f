"""A meter with a file: all of it is pushed, and what is not is said, counted, and has an exit status."""

import json
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from smartgrid_client.generator import generate
from smartgrid_client.readings import plain_lines
from tests.integration.smartgrid_client.command_line import Result, arguments, of_meter, run
from tests.integration.smartgrid_client.conftest import AttestedPlace, Place
from tests.support.smartgrid_stub import Fault

FIRST = 1_170_288_000
HOUR = 3600


@pytest.fixture
def place(attested: AttestedPlace) -> AttestedPlace:
    return attested


@pytest.fixture
def command(place: AttestedPlace, tmp_path: Path) -> list[str]:
    return [*arguments(place, tmp_path), "--policy", str(place.policy), *of_meter(place)]


@pytest.fixture
def lines() -> list[str]:
    """A hundred hours of readings, one each quarter of an hour: one batch for each hour."""
    return list(plain_lines(generate(FIRST, FIRST + 100 * HOUR, "seed", step=900)))


@pytest.fixture
def file(tmp_path: Path, lines: list[str]) -> Path:
    return written(tmp_path / "hours.csv", lines)


def written(file: Path, lines: list[str]) -> Path:
    file.write_text("\n".join(lines))
    return file


def summary(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.out)
    return found


async def test_a_file_is_pushed_whole_without_being_asked_for(
    place: Place, command: list[str], file: Path
) -> None:
    """Seen: with default options 60 batches in 600 s, the rest lost, and exit status 0."""
    result = await run(command, "--readings", str(file), "--json", "-")
    assert result.status == 0, result.err
    assert len(place.stub.batches) == 100
    assert (summary(result)["rows_stored"], summary(result)["rows_not_delivered"]) == (400, 0)


async def test_what_is_not_delivered_in_the_users_time_is_said_and_is_exit_status_4(
    place: Place, command: list[str], file: Path
) -> None:
    more = ["--readings", str(file), "--duration", "0.1", "--frequency", "0.1"]
    result = await run(command, *more)
    assert result.status == 4
    assert "4 readings stored in 1 batch" in result.out
    assert "396 readings of the file NOT DELIVERED" in result.out
    assert len(place.stub.batches) == 1
    again = await run(command, "--readings", str(file), "--json", "-")
    assert again.status == 0
    assert (summary(again)["rows_stored"], summary(again)["rows_unchanged"]) == (396, 4)


async def test_a_server_that_does_not_take_it_ends_the_delivery_which_is_said(
    place: Place, command: list[str], file: Path
) -> None:
    place.stub.faults["long-write"] = deque([Fault.UNAVAILABLE] * 1000)
    result = await run(command, "--readings", str(file), "--retry", "0.1")
    assert result.status == 1
    assert "400 readings of the file NOT DELIVERED" in result.out
    assert place.stub.tokens == set()


async def test_a_batch_over_the_servers_limit_is_sent_in_parts(
    place: Place, command: list[str], file: Path
) -> None:
    place.stub.most_rows = 150
    result = await run(command, "--readings", str(file), "--batch", "400", "--json", "-")
    assert result.status == 0, result.err
    assert [len(rows) for rows in place.stub.batches] == [100] * 4
    assert summary(result)["rows_not_delivered"] == 0
    assert summary(result)["operations"]["LONG_WRITE"]["errors"] == 0


async def test_a_server_that_takes_no_row_at_all_is_given_up(
    place: Place, command: list[str], file: Path
) -> None:
    place.stub.most_rows = 0
    result = await run(
        command, "--readings", str(file), "--batch", "400", "--end", f"{FIRST + 3600}"
    )
    assert result.status == 1
    assert "4 readings of the file NOT DELIVERED" in result.out


async def test_rows_that_the_server_rejects_are_named_and_the_others_are_stored(
    place: Place, command: list[str], file: Path
) -> None:
    place.stub.rejected = {FIRST + 900}
    result = await run(command, "--readings", str(file))
    assert result.status == 4
    assert "1 REJECTED (row 1: not that time)" in result.out
    assert "1 reading REJECTED by the server, not stored" in result.out
    assert sum(map(len, place.stub.batches)) == 399


@pytest.mark.parametrize("bad", ["1170300600,many,,", "4102444800,1,2,3", "978307199,1e13,2,3"])
async def test_a_bad_line_is_said_before_anything_is_sent(
    place: Place, command: list[str], file: Path, lines: list[str], bad: str
) -> None:
    written(file, [*lines[:200], bad, *lines[200:]])
    result = await run(command, "--readings", str(file))
    assert result.status == 2
    assert "hours.csv, line 201, column " in result.err
    assert "--skip-bad" in result.err
    assert place.stub.requests == []
    result = await run(command, "--readings", str(file), "--skip-bad")
    assert result.status == 0
    assert "skipped: hours.csv, line 201, column " in result.err
    assert "1 reading of the file skipped: bad" in result.out
    assert sum(map(len, place.stub.batches)) == 400


async def test_times_far_away_are_pushed_where_the_user_moves_the_bounds(
    place: Place, command: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "far.csv"
    file.write_text("timestamp,power\n600,1\n4102444800,2\n")
    more = ["--earliest", "1970-01-01", "--latest", "2101-01-01"]
    assert (await run(command, "--readings", str(file), *more)).status == 0
    assert [rows[0][:2] for rows in place.stub.batches] == [[600, 1.0], [4_102_444_800, 2.0]]


async def test_standard_input_and_pipes_are_pushed_as_files_are(
    place: Place, command: list[str], lines: list[str]
) -> None:
    content = "\n".join(lines).encode()
    result = await run(command, "--readings", "-", given=content)
    assert result.status == 0, result.err
    assert sum(map(len, place.stub.batches)) == 400
    result = await run(command, "--readings", "-", given=b"timestamp,power\n1170288000,x\n")
    assert result.status == 2
    assert "standard input, line 2, column power: 'x' is not a number" in result.err
    again = await run(command, "--readings", "/dev/stdin", given=content)
    assert "400 were stored before" in again.out


async def test_what_differs_is_said_and_replaced_only_on_purpose(
    place: Place, command: list[str], file: Path
) -> None:
    place.stub.batches.append([[FIRST, 1.0, 2.0, 3.0]])
    result = await run(command, "--readings", str(file))
    assert result.status == 0
    assert "1 reading differs from what is stored for the same time, which stays" in result.out
    result = await run(command, "--readings", str(file), "--correct")
    assert "1 reading corrected" in result.out


@pytest.mark.parametrize("environ", [{}, {"TZ": "Europe/Paris"}])
async def test_the_users_columns_units_and_zone(
    place: Place, command: list[str], tmp_path: Path, environ: dict[str, str]
) -> None:
    file = tmp_path / "export.csv"
    text = "Zeit;Verbrauch\r\n01/02/2007 01:00:00;0,25\r\n"
    file.write_bytes(text.encode("utf-16"))
    more = ["--columns", "time=Zeit,power=Verbrauch:kWh/15m"]
    zone = [] if environ else ["--tz", "Europe/Paris"]
    result = await run(command, "--readings", str(file), *more, *zone, environ=environ)
    assert result.status == 0, result.err
    assert place.stub.batches == [[[FIRST, 1000.0, None, None]]]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--skip-bad"], "--skip-bad is about a file: it needs --readings FILE"),
        (["--columns", "time=T,power=P"], "--columns is about a file"),
        (["--alarms"], "--alarms is for customers"),
        (["--bucket", "1h"], "--bucket is for customers"),
        (["--columns", "time=T"], "one of power, impedance, tension is needed"),
        (["--tz", "Europe/Atlantis"], "there is no time zone 'Europe/Atlantis' here"),
        (["--start", "yesterday"], "--start: 'yesterday' is no time: expected Unix seconds"),
    ],
)
async def test_options_without_an_effect_are_refused(
    place: Place, command: list[str], more: list[str], said: str
) -> None:
    result = await run(command, *more)
    assert result.status == 2
    assert said in result.err
    assert place.stub.requests == []


async def test_made_up_readings_are_called_so(place: Place, command: list[str]) -> None:
    result = await run(command, "--duration", "0.1", "--frequency", "0.1")
    assert result.status == 0
    assert "The readings are made up" in result.out
    assert len(place.stub.batches) == 1
