"""What the command line understands."""

from pathlib import Path

import pytest

from smartgrid_client.batches import BatchSize
from smartgrid_client.messages import Alarm, Metric
from smartgrid_client.options import (
    AlarmKind,
    BatchKind,
    ChangeKind,
    Mode,
    ModeKind,
    double_dash,
    load_key,
    seconds,
)

KEY = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "value"), [("600", 600), ("1.5", 1.5), ("10m", 600), ("3h", 10_800), ("2D", 172_800)]
)
def test_durations(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "soon", "-5", "5 weeks", "1h30m", "nan", "1_0", "٦٠"])
def test_what_is_not_a_duration(text: str) -> None:
    with pytest.raises(ValueError, match="expected seconds"):
        seconds(text)


def test_a_batch_is_rows_or_a_duration() -> None:
    assert BatchKind().parse("240") == BatchSize(rows=240)
    assert BatchKind().parse("3h") == BatchSize(seconds=10_800)
    with pytest.raises(ValueError, match="whole seconds"):
        BatchKind().parse("0.5s")


@pytest.mark.parametrize("text", ["1", "meter", "type1", "METER"])
def test_a_meter_has_three_names(text: str) -> None:
    assert ModeKind().parse(text) is Mode.METER


def test_an_alarm_is_a_metric_and_a_threshold_and_a_change_has_its_id() -> None:
    assert AlarmKind().parse("power=4000") == Alarm(Metric.POWER, 4000.0)
    assert ChangeKind().parse("3:tension=207.5") == (3, Alarm(Metric.TENSION, 207.5))


@pytest.mark.parametrize("text", ["power", "colour=1", "power=", "power=1_000", "power=nan", "=1"])
def test_what_is_no_alarm(text: str) -> None:
    with pytest.raises(ValueError, match="expected power, impedance, tension"):
        AlarmKind().parse(text)
    with pytest.raises(ValueError, match="expected power"):
        ChangeKind().parse(f"1:{text}")


@pytest.mark.parametrize("text", ["power=1", ":power=1", "x:power=1", "-1:power=1", "٣:power=1"])
def test_what_is_no_change(text: str) -> None:
    with pytest.raises(ValueError, match="expected an alarm's id"):
        ChangeKind().parse(text)


@pytest.mark.parametrize("text", [KEY, KEY + "\n", KEY.upper() + "\r\n"])
def test_a_key_is_read_from_its_directory_or_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "db.key").write_text(text, newline="")
    for place in (tmp_path, tmp_path / "db.key"):
        assert load_key(place).reveal() == bytes.fromhex(KEY)


@pytest.mark.parametrize("text", ["", KEY[:-1], KEY + "0", "x" * 64, "ü" * 64])
def test_an_unusable_key_is_refused_without_being_shown(tmp_path: Path, text: str) -> None:
    (tmp_path / "db.key").write_text(text)
    with pytest.raises(ValueError, match="does not hold 64 hex digits") as caught:
        load_key(tmp_path)
    assert KEY[:8] not in str(caught.value)


def test_a_missing_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot read the key file"):
        load_key(tmp_path)


def test_one_dash_is_as_good_as_two_for_known_options_only() -> None:
    known = {"--server", "--csv", "-h"}
    assert double_dash("-server", known) == "--server"
    assert double_dash("-server=host", known) == "--server=host"
    assert double_dash("--server", known) == "--server"
    assert [double_dash(each, known) for each in ("-h", "-5", "-", "server")] == [
        "-h",
        "-5",
        "-",
        "server",
    ]
