"""A file is read whole before anything is sent, so what is wrong with it is said first and leaves nothing half done."""

import math
from pathlib import Path

import pytest

from smartgrid_client.bad_lines import SHOWN
from smartgrid_client.batches import BatchSize
from smartgrid_client.delivery import Delivery, Wanted, of_file
from smartgrid_client.readings import Format, ReadingsError, Skipped

HEADER = "timestamp,power"


def delivery(
    file: Path, *, skip_bad: bool = False, start: int = 0, step: int | None = None
) -> Delivery:
    size = BatchSize(rows=10)
    return of_file(file, Wanted(Format(), start, math.inf, step, size, skip_bad))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "year.csv"
    lines = [f"{60 * n},{n}" for n in range(1, 101)]
    lines[49] = "3000,fifty"
    file.write_text("\n".join([HEADER, *lines]))
    return file


def rows(found: Delivery) -> list[int]:
    return [row.timestamp for batch in found.batches for row in batch.rows]


def test_a_bad_line_in_the_middle_is_named_and_nothing_is_delivered(file: Path) -> None:
    """Seen: 660 rows stored, and the rest never deliverable."""
    with pytest.raises(ReadingsError) as caught:
        delivery(file)
    first, advice = str(caught.value).splitlines()
    assert first == "year.csv, line 51, column power: 'fifty' is not a number such as 240.5"
    assert "nothing was sent" in advice
    assert "--skip-bad" in advice


def test_the_rest_is_delivered_when_the_user_wants_that(file: Path) -> None:
    found = delivery(file, skip_bad=True)
    assert (found.total, found.skips) == (99, {Skipped.BAD: 1})
    assert [each[:17] for each in found.bad] == ["year.csv, line 51"]
    assert rows(found) == [60 * n for n in range(1, 101) if n != 50]


def test_of_many_bad_lines_the_first_are_shown_and_all_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "bad.csv"
    file.write_text("\n".join([HEADER, *["x,1"] * 50]))
    with pytest.raises(ReadingsError) as caught:
        delivery(file)
    lines = str(caught.value).splitlines()
    assert len(lines) == SHOWN + 2
    assert lines[SHOWN] == "and 40 more lines"


def test_a_period_and_a_step_count_as_they_are_delivered(file: Path) -> None:
    found = delivery(file, skip_bad=True, start=5880, step=15)
    assert found.total == len(rows(found)) == 12


def test_lines_that_are_added_while_it_is_pushed_wait_for_the_next_time(file: Path) -> None:
    found = delivery(file, skip_bad=True)
    with file.open("a") as more:
        more.write("\n99999,1\n")
    assert found.total == len(rows(found)) == 99


def test_a_file_without_readings_in_the_period_is_refused(file: Path) -> None:
    with pytest.raises(ReadingsError, match=r"no readings to push in year\.csv"):
        delivery(file, skip_bad=True, start=10**9)
