"""What is read from files of readings, what is left out, and what is refused with its line and column."""

from collections import Counter
from pathlib import Path

import pytest

from smartgrid_client.columns import chosen
from smartgrid_client.moments import zone_named
from smartgrid_client.readings import (
    Format,
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
AT = 1_170_288_060


def read(*lines: str, form: Format | None = None) -> tuple[list[Reading], Skips]:
    skips: Skips = Counter()
    return list(read_lines(lines, skips, form=form or Format())), skips


def test_a_household_line_becomes_watts_ohms_and_volts_at_utc() -> None:
    found, _ = read(HOUSEHOLD, "1/2/2007;00:01:00;0.326;0.130;243.320;1.400;0.000;0.000;0.000")
    assert found == [Reading(AT, 326.0, 243.32 / 1.4, 243.32)]


@pytest.mark.parametrize(
    ("header", "line"),
    [
        (
            "Global_intensity;Voltage;Sub_metering_1;Time;Date;Global_active_power",
            "1.400;243.320;0;00:01:00;1/2/2007;0.326",
        ),
        ("date,time,global_active_power,voltage,global_intensity", "1/2/2007,00:01:00,0.326,243.32,1.4"),
        ("DATE; TIME;GLOBAL_ACTIVE_POWER;VOLTAGE;GLOBAL_INTENSITY", "01/02/2007;0:01;0,326;243,32;1,4"),
        ("Date\tTime\tGlobal_active_power\tVoltage\tGlobal_intensity", "1/2/2007\t00:01:00\t.326\t243.32\t1.4"),
        (
            '"Date","Time","Global_active_power","Voltage","Global_intensity"',
            '"1/2/2007","00:01:00","0,326","243,32","1,4"',
        ),
        (
            "Date;Time;Global_active_power;Voltage;Global_intensity",
            "2007-02-01;00:01:00;0.326;243.32;1.4;",
        ),
    ],
    ids=["order", "comma", "decimal comma", "tab", "quoted", "ISO date"],
)  # fmt: skip
def test_columns_are_found_by_the_header_whatever_their_order_and_separator(
    header: str, line: str
) -> None:
    assert read(header, line)[0] == [Reading(AT, 326.0, 243.32 / 1.4, 243.32)]


@pytest.mark.parametrize(
    ("line", "reading"),
    [
        ("1/2/2007;00:01:00;0.000;0;243.320;0.000;0;0;0", Reading(AT, 0.0, None, 243.32)),
        ("1/2/2007;00:01:00;?;?;243.320;1.400;?;?;", Reading(AT, None, 243.32 / 1.4, 243.32)),
        ("1/2/2007;00:01:00;0.326;0;?;1.400;0;0;0", Reading(AT, 326.0, None, None)),
        ("1/2/2007;00:01:00;0.326;0;NA;;0;0;0", Reading(AT, 326.0, None, None)),
    ],
)
def test_a_missing_value_is_left_out_and_the_others_are_kept(line: str, reading: Reading) -> None:
    """Seen: without a current the power of 0 W was lost too, and averages were too high."""
    assert read(HOUSEHOLD, line) == ([reading], Counter())


def test_a_line_without_any_value_is_skipped_and_counted() -> None:
    found, skips = read(HOUSEHOLD, "22/2/2007;22:58:00;?;?;?;?;?;?;", "", "  ")
    assert found == []
    assert skips == {Skipped.MISSING: 1}


def test_a_plain_line_is_taken_as_it_is() -> None:
    found, skips = read(PLAIN, "900,100.5,2.25,230", "915,?,2,230", "930,,,")
    assert found == [Reading(900, 100.5, 2.25, 230.0), Reading(915, None, 2.0, 230.0)]
    assert skips == {Skipped.MISSING: 1}
    assert read("tension;timestamp", "230,5;900")[0] == [Reading(900, None, None, 230.5)]


@pytest.mark.parametrize(
    ("columns", "lines", "reading"),
    [
        ("time=When,power=P:kW", ("When;P;x", "2007-02-01T00:01Z;0,326;1"), Reading(AT, 326, None, None)),
        (
            "time=Day+Clock,power=Used:kWh/15m,tension=U",
            ("U,Day,Clock,Used", "230,2007-02-01,00:01,0.25"),
            Reading(AT, 1000.0, None, 230.0),
        ),
        ("time=t,power=p:Wh/30min", ("t;p", "1170288060;50"), Reading(AT, 100.0, None, None)),
        (
            "time=t,tension=u:kV,current=i:mA",
            ("t;u;i", "1170288060;0.23;500"),
            Reading(AT, None, 460.0, 230.0),
        ),
        ("time=t,impedance=z", ("t;z", "1170288060;7"), Reading(AT, None, 7.0, None)),
    ],
)  # fmt: skip
def test_the_user_says_which_columns_are_what(
    columns: str, lines: tuple[str, ...], reading: Reading
) -> None:
    assert read(*lines, form=Format(columns=chosen(columns)))[0] == [reading]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("power=P", "a time=NAME is needed"),
        ("time=T", "one of power, impedance, tension is needed"),
        ("time=T,current=I", "one of power, impedance, tension is needed"),
        ("time=T,power=P,current=I", "current is for the impedance"),
        ("time=T,power=P:kWh", "kWh is energy: say in which time it was used, as kWh/15m"),
        ("time=T,power=P:V", "'V' is no unit of power: expected W, kW"),
        ("time=T,power=P,power=Q", "two columns for power"),
        ("time=T,colour=C", "'colour=C' is no column: expected time, power"),
        ("time=T,power", "'power' is no column"),
        ("time=T,power=:kW", "names no column"),
    ],
)
def test_columns_that_cannot_be_meant_are_refused(columns: str, said: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        chosen(columns)
    assert said in str(caught.value)


def test_times_of_a_file_are_local_times_of_the_zone() -> None:
    form = Format(zone=zone_named("Europe/Paris"))
    header = "Date;Time;Global_active_power"
    found, _ = read(header, "1/2/2007;01:01:00;1", "1/7/2007;00:00:00;1", form=form)
    assert [each.timestamp for each in found] == [AT, 1_183_240_800]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ((), "readings is empty: expected the columns timestamp and power"),
        (("what,is,this",), "line 1: expected the columns timestamp and power, impedance or tension; or"),
        (("900,1,2,3",), "line 1: expected the columns"),
        (("timestamp,power,power",), "line 1: there are 2 columns power: expected one"),
        ((PLAIN, "900,1,2"), "line 2: expected 4 fields, not 3, in '900,1,2'"),
        ((PLAIN, "900,1,2,3,4"), "line 2: expected 4 fields, not 5"),
        ((PLAIN, "900,1,2,3", "x,1,2,3"), "line 3, column timestamp: 'x' is no time: expected Unix seconds"),
        ((PLAIN, "900,nan,2,3"), "line 2, column power: 'nan' is not a number such as 240.5"),
        ((PLAIN, "900,1e999,2,3"), "line 2, column power: inf is out of range: expected at most 1e12"),
        ((PLAIN, "900,1,2,3e12"), "line 2, column tension: 3e+12 is out of range"),
        ((PLAIN, "900,many,2,3"), "line 2, column power: 'many' is not a number"),
        ((PLAIN, "900,1_000,2,3"), "line 2, column power: '1_000' is not a number"),
        ((PLAIN, "900,1,٢,3"), "line 2, column impedance: '٢' is not a number"),
        ((PLAIN, "9_00,1,2,3"), "line 2, column timestamp: '9_00' is no time"),
        (("timestamp;power", "900;1.234,5"), "line 2, column power: '1.234,5' is not a number"),
        (("timestamp;power", "900;1.5", "915;1,5"), "column power: '1,5' has a decimal comma: expected a"),
        ((PLAIN, "1170288060000,1,2,3"), "column timestamp: 1170288060000 is no time: a timestamp is Unix"),
        ((PLAIN, "-1,1,2,3"), "line 2, column timestamp: '-1' is no time"),
        ((HOUSEHOLD, "2/13/2007;00:00:00;1;1;1;1;0;0;0"), "column Date+Time: '2/13/2007 00:00:00'"),
        ((HOUSEHOLD, "1/2/2007;00:00:00;1;1;1"), "line 2: expected 9 fields, not 5"),
        ((HOUSEHOLD, "1/2/2007;00:00:00;1;1;240V;1;0;0;0"), "line 2, column Voltage: '240V' is not a number"),
        ((HOUSEHOLD, "1/2/2007;00:00:00;1;1;240;1e-300;0;0;0"), "the impedance, voltage / current, is 2.4e+302"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_its_line_and_column(
    lines: tuple[str, ...], said: str
) -> None:
    with pytest.raises(ReadingsError, match="readings") as caught:
        read(*lines)
    assert said in str(caught.value)


@pytest.mark.parametrize("text", ["1/1/1999;00:00:00;1", "1/1/2100;00:00:00;1"])
def test_a_time_outside_of_the_bounds_is_refused(text: str) -> None:
    form = Format(earliest=946_684_800, latest=1_700_000_000, hint=" (--earliest)")
    said = r"column Date\+Time: .* is not plausible: expected 2000-01-01T00:00:00Z to 2023-.* \(--earliest\)"
    with pytest.raises(ReadingsError, match=said):
        read("Date;Time;Global_active_power", text, form=form)


def test_reading_goes_on_after_a_bad_line_for_those_who_want_that() -> None:
    bad: list[str] = []
    skips: Skips = Counter()
    lines = [PLAIN, "900,1,2,3", "x,1,2,3", "915,1,2,", "930,1,2,V"]
    found = list(read_lines(lines, skips, "f.csv", on_bad=lambda error: bad.append(str(error))))
    assert [each.timestamp for each in found] == [900, 915]
    assert [each[:13] for each in bad] == ["f.csv, line 3", "f.csv, line 5"]
    assert skips == {Skipped.BAD: 2}


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadingsError, match="No such file"):
        list(read_file(tmp_path / "nothing.csv", Counter()))
    (tmp_path / "picture.csv").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(ReadingsError, match=r"picture.csv, line 1: it is not a text file"):
        list(read_file(tmp_path / "picture.csv", Counter()))


def test_the_sample_is_six_days_with_two_readings_missing() -> None:
    skips: Skips = Counter()
    found = list(sample_readings(skips))
    assert len(found) == 6 * 1440 - 2
    assert skips == {Skipped.MISSING: 2}
    assert found[0].timestamp == 1_170_288_000
    assert len({each.timestamp for each in found}) == len(found)
    assert sorted({each.timestamp // 86_400 - 13_544 for each in found}) == [1, 2, 11, 12, 21, 22]
