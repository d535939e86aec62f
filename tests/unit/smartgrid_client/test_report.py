"""Lines and summaries say what happened."""

import pytest

from smartgrid_client.connection import Exchange
from smartgrid_client.errors import BusyError, SessionOverError, UnansweredError
from smartgrid_client.messages import Averages, Login, Metric, Rejection, Stored
from smartgrid_client.report import CSV_HEADER, Recorder, csv_line, csv_row, describe, human_line
from smartgrid_client.requests import Operation
from smartgrid_client.session import Attempt
from smartgrid_client.view import _notes
from standby.messages import ErrorDetail

LOGIN = Login(token="secret-token", expires_in=600, boot_id="00000000000000ab", generation=3)


def attempt(
    operation: Operation,
    outcome: object,
    latency: float = 0.01,
    *,
    connect: float = 0.0,
    repeated: bool = False,
) -> Attempt:
    exchange: Exchange[object] = Exchange(operation, 1_170_288_000.5, latency, connect, outcome)
    return Attempt(exchange, 1, 0.25, repeated=repeated)


def test_the_summary_counts_answers_errors_and_retries() -> None:
    recorder = Recorder()
    for number in range(1, 101):
        recorder.add(
            attempt(
                Operation.QUERY_AVG,
                Averages(metric=Metric.POWER, count=0, average=None),
                number / 1000,
            )
        )
    recorder.add(attempt(Operation.LOGIN, BusyError("busy"), repeated=True))
    recorder.add(attempt(Operation.LOGIN, BusyError("busy")))
    recorder.add(attempt(Operation.LONG_WRITE, Stored(stored=240)))
    recorder.add(attempt(Operation.LONG_WRITE, Stored(stored=0, unchanged=240)))
    summary = recorder.summary()
    query, login = summary.operations["QUERY_AVG"], summary.operations["LOGIN"]
    assert (query.count, query.p50_ms, query.p95_ms, query.p99_ms) == (100, 50, 95, 99)
    assert (login.count, login.errors, login.retries, login.p50_ms) == (0, 1, 1, None)
    assert (summary.rows_stored, summary.rows_unchanged) == (240, 240)
    assert (summary.batches_acknowledged, summary.rows_not_delivered) == (2, None)
    assert summary.errors == 1
    assert list(summary.operations) == ["LOGIN", "LONG_WRITE", "QUERY_AVG"]


def test_a_logout_from_a_session_that_is_over_is_no_error() -> None:
    over = SessionOverError(401, ErrorDetail(code="unknown_token", message="no", id="1"))
    recorder = Recorder()
    recorder.add(attempt(Operation.LOGOUT, over))
    assert recorder.summary().errors == 0
    assert "the session was over already" in human_line(attempt(Operation.LOGOUT, over))


def test_a_csv_line_has_every_field_in_base_form() -> None:
    row = csv_row(attempt(Operation.LOGIN, BusyError("busy, truly"), 0.5, connect=0.4))
    assert (
        csv_line(CSV_HEADER) == "time,operation,status,latency_ms,connect_ms,late_ms,attempt,code"
    )
    assert (
        csv_line(row) == "2007-02-01T00:00:00.500Z,LOGIN,failed,500.0,400.0,250.0,1,platform_busy"
    )


def test_a_line_for_people_says_what_was_answered() -> None:
    line = human_line(attempt(Operation.LOGIN, LOGIN, 0.5, connect=0.4))
    assert "LOGIN" in line
    assert "500.0 ms  server 00000000000000ab, generation 3 (400.0 ms to connect)" in line
    busy = human_line(attempt(Operation.LOGIN, BusyError("no server now"), repeated=True))
    assert busy.endswith("RETRIED platform_busy: no server now; trying again")
    lost = human_line(attempt(Operation.WRITE, UnansweredError("no answer in time")))
    assert lost.endswith("no answer in time; not repeated, because it may have been stored")


@pytest.mark.parametrize(
    ("outcome", "text"),
    [
        (Stored(stored=2880), "2,880 stored"),
        (Stored(stored=0, unchanged=240), "0 stored, 240 unchanged"),
        (
            Stored(
                stored=57,
                corrected=1,
                conflicts=1,
                rejected=1,
                rejections=[Rejection(row=7, reason="it has no value")],
            ),
            "57 stored, 1 corrected, 1 differ from what is stored, 1 REJECTED (row 7: it has no value)",
        ),
        (
            Averages(metric=Metric.POWER, count=8638, average=1665.16393),
            "power 1,665.16 W over 8,638 readings",
        ),
        (
            Averages(metric=Metric.TENSION, count=0, average=None),
            "no tension readings in the period",
        ),
        (object(), "done"),
    ],
)
def test_answers_in_a_few_words(outcome: object, text: str) -> None:
    assert describe(outcome) == text


@pytest.mark.parametrize(
    ("stored", "lines"),
    [
        (Stored(stored=1), ["1 reading stored in 1 batch; 0 were stored before"]),
        (
            Stored(stored=0, unchanged=1),
            ["0 readings stored in 1 batch; 1 was stored before"],
        ),
        (
            Stored(stored=2, corrected=2),
            ["2 readings stored in 1 batch; 0 were stored before", "2 readings corrected"],
        ),
    ],
)
def test_one_is_no_plural(stored: Stored, lines: list[str]) -> None:
    recorder = Recorder()
    recorder.add(attempt(Operation.LONG_WRITE, stored))
    summary = recorder.summary(skipped={"missing": 1})
    assert _notes(summary) == [*lines, "1 reading of the file skipped: missing"]


def test_what_was_not_delivered_is_counted_and_said() -> None:
    recorder = Recorder()
    recorder.add(attempt(Operation.LONG_WRITE, UnansweredError("no answer in time")))
    recorder.add(
        attempt(Operation.LONG_WRITE, Stored(stored=50, unchanged=5, conflicts=4, rejected=1))
    )
    summary = recorder.summary(total=100, input_error="year.csv has changed")
    assert (summary.rows_rejected, summary.rows_not_delivered) == (1, 40)
    assert not summary.complete
    said = _notes(summary)
    assert "4 readings differ from what is stored for the same time" in said[1]
    assert "1 reading REJECTED by the server" in said[2]
    assert "40 readings of the file NOT DELIVERED" in said[3]
    assert said[4] == "year.csv has changed"


def test_tokens_are_never_shown() -> None:
    shown = repr(LOGIN) + repr(attempt(Operation.LOGIN, LOGIN)) + describe(LOGIN)
    assert "secret-token" not in shown
