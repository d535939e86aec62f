"""One row that cannot be stored costs that row, and the answer names it."""

import msgspec
import pytest

from smartgrid_server.errors import BatchTooLargeError
from smartgrid_server.rows import AHEAD, EARLIEST, Bounds, Rows, read
from standby.decode import UnreadableError

NOW = 1_700_000_000.0
GOOD = (1_600_000_000, 1.0, 2.0, 3.0)


def found(*rows: object, more: str = "", bounds: Bounds | None = None) -> Rows:
    body = f'{{"rows": {msgspec.json.encode(rows).decode()}{more}}}'
    return read(body.encode(), bounds or Bounds(100), NOW)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ([1_600_000_000, 1, 2], "length 4"),
        ([1_600_000_000, 1, 2, 3, 4], "length 4"),
        ([1_600_000_000.5, 1, 2, 3], "int"),
        ([1_600_000_000, "1", 2, 3], "float"),
        ([1_600_000_000, 1e13, 2, 3], "<= 1000000000000"),
        ([-1, 1, 2, 3], ">= 0"),
        ([1_600_000_000_000, 1, 2, 3], "253402300799"),
        ([1_600_000_000, None, None, None], "it has no value"),
        ([None, 1, 2, 3], "int"),
        ("row", "array"),
        (
            [EARLIEST - 1, 1, 2, 3],
            "its time is 1999-12-31T23:59:59Z, not from 2000-01-01T00:00:00Z",
        ),
        ([4_102_444_800, 1, 2, 3], "its time is 2100-01-01T00:00:00Z, not from"),
    ],
)
def test_a_bad_row_among_good_ones_is_rejected_and_they_are_accepted(
    row: object, reason: str
) -> None:
    rows = found(GOOD, row, GOOD)
    assert rows.accepted == [GOOD, GOOD]
    assert rows.rejected == 1
    (rejection,) = rows.rejections
    assert rejection.row == 1
    assert reason in rejection.reason


def test_a_number_that_json_does_not_have_costs_its_row_where_json_has_it() -> None:
    rows = read(b'{"rows": [[1600000000, 1e999, 2, 3], [1600000000, 1, 2, 3]]}', Bounds(9), NOW)
    assert (len(rows.accepted), rows.rejected) == (1, 1)


def test_times_are_plausible_up_to_the_bounds() -> None:
    edges = [(at, 1.0, None, None) for at in (EARLIEST, int(NOW + AHEAD))]
    assert found(*edges).accepted == edges
    wide = Bounds(100, earliest=0, ahead=1e12)
    assert len(found([0, 1, 2, 3], [253_402_300_799, 1, 2, 3], bounds=wide).accepted) == 2


def test_all_rejected_rows_are_counted_and_the_first_ones_named() -> None:
    rows = found(*([[0, 1, 2, 3]] * 150), bounds=Bounds(200))
    assert rows.rejected == 150
    assert [each.row for each in rows.rejections] == list(range(100))


@pytest.mark.parametrize(
    "body",
    [
        b'{"rows": 5}',
        b'{"row": []}',
        b'{"rows": [[1600000000, NaN, 2, 3]]}',
        b'{"rows": [], "correct": 1}',
        b'{"rows": [], "batch_id": ""}',
        b"[]",
    ],
)
def test_a_message_that_is_none_is_refused_whole(body: bytes) -> None:
    with pytest.raises(UnreadableError):
        read(body, Bounds(100), NOW)


def test_more_rows_than_allowed_are_refused_whatever_they_are() -> None:
    for row in (GOOD, "row"):
        with pytest.raises(BatchTooLargeError, match="101 rows in a batch; send 100 at most"):
            found(*([row] * 101))


def test_what_earlier_clients_send_is_understood() -> None:
    rows = found(GOOD, more=', "batch_id": "b"')
    assert (rows.accepted, rows.correct) == ([GOOD], False)
    assert found(GOOD, "row", more=', "correct": true').correct
