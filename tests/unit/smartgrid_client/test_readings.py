"""What is read from files of readings, what is skipped, and what is refused with its line."""

from collections import Counter
from pathlib import Path

import pytest

from smartgrid_client.readings import (
    Reading,
    ReadingsError,
    Skipped,
    Skips,
    read_file,
    read_lines,
    sample_readings,
)

HOUSEHOLD = "Date;Time;Global_active_power;Global_reactive_power;Voltage;Global_intensity;a;b;c"
PLAIN = "timestamp,power,impedance,tension"


def read(*lines: str) -> tuple[list[Reading], Skips]:
    skips: Skips = Counter()
    return list(read_lines(lines, skips)), skips


def test_a_household_line_becomes_watts_ohms_and_volts_at_utc() -> None:
    found, _ = read(HOUSEHOLD, "1/2/2007;00:01:00;0.326;0.130;243.320;1.400;0.000;0.000;0.000")
    assert found == [Reading(1_170_288_060, 326.0, 243.32 / 1.4, 243.32)]


def test_a_missing_household_reading_is_skipped_and_counted() -> None:
    found, skips = read(HOUSEHOLD, "22/2/2007;22:58:00;?;?;?;?;?;?;", "", "  ")
    assert found == []
    assert skips == {Skipped.MISSING: 1}


def test_a_reading_without_current_has_no_impedance_and_is_skipped_and_counted() -> None:
    found, skips = read(HOUSEHOLD, "1/2/2007;00:01:00;0.000;0.000;243.320;0.000;0;0;0")
    assert found == []
    assert skips == {Skipped.NO_CURRENT: 1}


def test_a_plain_line_is_taken_as_it_is() -> None:
    found, skips = read(PLAIN + "\r\n", "900,100.5,2.25,230\r\n", "915,?,2,230\r\n")
    assert found == [Reading(900, 100.5, 2.25, 230.0)]
    assert skips == {Skipped.MISSING: 1}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ((), "line 1: expected timestamp,power,impedance,tension or date;time"),
        (("what,is,this",), "line 1: expected"),
        ((PLAIN, "900,1,2"), "line 2: expected 4 fields, not 3"),
        ((PLAIN, "900,1,2,3", "x,1,2,3"), "line 3: invalid literal"),
        ((PLAIN, "900,nan,2,3"), "line 2: 'nan' is not a finite number"),
        ((PLAIN, "900,1e999,2,3"), "line 2: '1e999' is not a finite number"),
        ((PLAIN, "900,many,2,3"), "line 2: 'many' is not a number"),
        ((PLAIN, "1170288060000,1,2,3"), "line 2: a timestamp is Unix seconds, not milliseconds"),
        ((PLAIN, "-1,1,2,3"), "line 2: a timestamp is Unix seconds"),
        ((HOUSEHOLD, "2007-02-01;00:00:00;1;1;1;1;0;0;0"), "line 2: expected d/m/yyyy;hh:mm:ss"),
        ((HOUSEHOLD, "1/2/2007;00:00:00;1;1;1"), "line 2: expected 9 fields, not 5"),
        ((HOUSEHOLD, "1/2/2007;00:00:00;1;1;240V;1;0;0;0"), "line 2: '240V' is not a number"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(lines: tuple[str, ...], said: str) -> None:
    with pytest.raises(ReadingsError, match="readings, ") as caught:
        read(*lines)
    assert said in str(caught.value)


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadingsError, match="No such file"):
        list(read_file(tmp_path / "nothing.csv", Counter()))
    (tmp_path / "picture.csv").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(ReadingsError, match="not a text file"):
        list(read_file(tmp_path / "picture.csv", Counter()))


def test_the_sample_is_six_days_with_two_readings_missing() -> None:
    skips: Skips = Counter()
    found = list(sample_readings(skips))
    assert len(found) == 6 * 1440 - 2
    assert skips == {Skipped.MISSING: 2}
    assert found[0].timestamp == 1_170_288_000
    assert len({each.timestamp for each in found}) == len(found)
    assert sorted({each.timestamp // 86_400 - 13_544 for each in found}) == [1, 2, 11, 12, 21, 22]
