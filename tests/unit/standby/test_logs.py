"""Every part's log is one JSON object a line, with a time that needs no other knowledge to be read."""

import io
import json
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from standby import logs, sampling
from standby.logs import MAX_VALUE, MOST_OF_OTHERS, EventLog, Level, both_ends

log = EventLog("tests.logs")


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What a part writes to stderr; the test runner's own handlers come back afterwards."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.configure("some_part")
    yield stream
    root.handlers[:], root.level = handlers, level


def _last(written: io.StringIO) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(written.getvalue().splitlines()[-1])
    return record


def test_the_time_is_utc_and_says_so_wherever_the_machine_is() -> None:
    script = "from standby import logs; logs.configure('p'); logs.EventLog('x').info('hello')"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"TZ": "Asia/Kolkata"},
        capture_output=True,
        text=True,
        check=True,
    )
    text = json.loads(done.stderr)["time"]
    assert text.endswith("Z")
    assert abs(datetime.fromisoformat(text) - datetime.now(UTC)) < timedelta(minutes=5)


def test_a_part_of_which_there_are_several_marks_each_of_its_lines(written: io.StringIO) -> None:
    logs.mark(wrapper_id="w2")
    log.info("first")
    logging.getLogger("aiohttp.server").warning("another's")
    for line in written.getvalue().splitlines():
        record = json.loads(line)
        assert (record["part"], record["wrapper_id"]) == ("some_part", "w2")


def test_of_another_library_s_records_few_a_minute_are_written_and_of_ours_all(
    written: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """asyncio has a thousand records when no descriptors are left, which strangers can bring about."""
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    for _ in range(1024):
        logging.getLogger("asyncio").error("socket.accept() out of system resource")
        log.info("server_gone")
    events = [json.loads(line)["event"] for line in written.getvalue().splitlines()]
    assert events.count("socket.accept() out of system resource") == MOST_OF_OTHERS
    assert events.count("server_gone") == 1024
    logging.getLogger("asyncio").warning("of another level")
    assert _last(written)["event"] == "of another level"
    now = sampling.PERIOD
    logging.getLogger("asyncio").error("socket.accept() out of system resource")
    assert _last(written)["not_logged_before"] == 1024 - MOST_OF_OTHERS


@pytest.mark.parametrize("level", list(Level))
def test_a_record_has_the_level_of_its_outcome(written: io.StringIO, level: Level) -> None:
    log.at(level, "something", uid="anna")
    if level is Level.DEBUG:
        assert written.getvalue() == ""
    else:
        record = _last(written)
        assert (record["level"], record["event"], record["uid"]) == (level, "something", "anna")


def test_secrets_inside_a_field_s_fields_are_blanked_too(written: io.StringIO) -> None:
    log.info("server_output", said={"db_key": "0f", "text": "a" * 64, "uid": "anna", "rows": 3})
    assert _last(written)["said"] == {
        "db_key": "<secret>",
        "text": "<secret>",
        "uid": "anna",
        "rows": 3,
    }


def test_a_long_traceback_keeps_its_end(written: io.StringIO) -> None:
    log.error("it_failed", error=ValueError(f"{'x' * 5000} and what went wrong"))
    text = _last(written)["exc_info"]
    assert text.startswith("ValueError")
    assert text.endswith("and what went wrong")
    assert len(text) <= MAX_VALUE + len(" … ")


def test_a_short_text_keeps_both_ends_and_its_middle() -> None:
    assert both_ends("abcdef", 3, 3) == "abcdef"
    assert both_ends("abcdefg", 3, 3) == "abc … efg"
