"""Histories and logs are read back as they were written, also when a writer was killed on the way."""

from pathlib import Path

import msgspec

from bench.faults import logs, report
from bench.faults.history import Call, Closing, Opened, Try, Writer, login_waits, read, read_faults
from bench.faults.logs import Life
from smartgrid_client.requests import Operation
from tests.unit.bench.faults.records import BOOT_IDS, LOGIN, logins, made, tried


def test_a_history_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "user-1-meter.jsonl"
    call = Call(call=1, operation=Operation.LONG_WRITE, at=1.0, batch=1, rows=5)
    one = tried(1, Operation.LONG_WRITE, 1.0, code="unanswered", maybe_done=True)
    with Writer(file) as writer:
        for record in (Opened(uid="user-1", user=1, role="meter"), call, one, Closing(at=9.0)):
            writer.write(record)
        found = read(file)  # while it is still open: every record is flushed
    assert found.calls == {1: call}
    assert found.tries == [one]
    assert found.closing == 9.0
    assert found.opened.uid == "user-1"


def test_a_run_without_faults_has_no_records_of_them(tmp_path: Path) -> None:
    assert read_faults(tmp_path / "faults.jsonl") == []


def test_a_wait_for_a_login_goes_over_calls_until_it_succeeds() -> None:
    def refused(sent: float) -> Try:
        return tried(1, LOGIN, sent, sent + 1.0, code="platform_busy", generation=None)

    history = made(
        *logins(1, refused(1.0), refused(3.0)),
        *logins(2, tried(2, LOGIN, 6.0, 6.5)),
        *logins(3, tried(3, LOGIN, 8.0, 8.1)),
        Closing(at=10.0),
        *logins(4, tried(4, LOGIN, 11.0, 12.0)),
    )
    waits = list(login_waits(history))
    assert [round(wait.seconds, 3) for wait in waits] == [5.5, 0.1, 1.0]
    assert [wait.final for wait in waits] == [False, False, True]
    assert all(wait.succeeded for wait in waits)


def test_only_failures_that_another_try_cannot_mend_are_refusals_for_good() -> None:
    busy = tried(1, LOGIN, code="platform_busy", generation=None)
    refused = msgspec.structs.replace(busy, code="certificate_refused", final=True)
    history = made(*logins(1, busy, refused, tried(1, LOGIN)))
    assert report.refused_for_good([history]) == {"certificate_refused": 1}


def _line(**fields: object) -> bytes:
    return msgspec.json.encode(fields)


def test_the_wrappers_logs_say_who_used_each_process() -> None:
    changed = {"event": "server_changed", "boot_id": BOOT_IDS[1]}
    lines = {
        "w1": [
            _line(**changed, uid=None),
            _line(**changed, uid="user-1"),
            b'{"event": "server_chan',
            b"not JSON at all",
            _line(event="else", boot_id=BOOT_IDS[2], uid="user-2"),
        ]
    }
    assert logs.lives(lines) == {BOOT_IDS[1]: Life("w1", {"user-1"})}


def test_errors_are_counted_also_when_a_wrapper_passes_a_servers_log_on() -> None:
    inner = {"event": "storage_broken", "level": "ERROR", "rows": 3, "part": "a_server"}
    lines = {
        "w1": [
            _line(event="task_failed", level="ERROR"),
            _line(event="server_output", level="WARNING", said=inner),
            _line(event="fine", level="WARNING"),
        ]
    }
    assert logs.errors(lines) == {"w1 task_failed": 1, "w1 storage_broken": 1}


def test_rotated_logs_are_read_oldest_first(tmp_path: Path) -> None:
    for name, line in (("w1.log", b"3"), ("w1.log.1", b"2"), ("w1.log.10", b"1"), ("w2.log", b"x")):
        (tmp_path / name).write_bytes(line + b"\n")
    assert logs.read(tmp_path) == {"w1": [b"1", b"2", b"3"], "w2": [b"x"]}
