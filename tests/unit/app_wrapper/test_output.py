import asyncio

import pytest

from app_wrapper import output
from app_wrapper.bucket import Bucket
from app_wrapper.output import LogGate
from standby.lines import LineCutter


def test_lines_come_as_they_are_completed() -> None:
    cutter = LineCutter()
    assert cutter.feed(b"one\ntw") == ["one"]
    assert cutter.feed(b"o\r\n\nthree") == ["two", ""]
    assert cutter.end() == ["three"]
    assert cutter.end() == []


def test_a_line_that_is_too_long_is_cut_and_cannot_look_like_a_whole_one() -> None:
    cutter = LineCutter(limit=13)
    assert cutter.feed(b"WAITING_LOGIN and more\n") == ["WAITING_LOGIN…"]


def test_a_line_without_end_is_not_kept_whole() -> None:
    cutter = LineCutter(limit=10)
    for _ in range(1000):
        assert cutter.feed(b"x" * 1000) == []
    assert len(cutter._rest) <= 11
    assert cutter.feed(b"\nnext\n") == ["x" * 10 + "…", "next"]


def test_bytes_that_are_no_text_do_no_harm() -> None:
    assert LineCutter().feed(b"\xff\xfe\x00\n") == ["\ufffd\ufffd\x00"]


def test_a_gate_lets_a_burst_pass_then_a_rate() -> None:
    gate = LogGate(rate=10)
    assert [gate.admit("x", 0.0) for _ in range(12)] == [True] * 10 + [False] * 2
    assert [gate.admit("x", 0.125) for _ in range(2)] == [True, False]
    assert sum(gate.admit("x", 100.0) for _ in range(20)) == 10


def test_a_server_that_never_stops_is_logged_as_long_as_its_allowance_lasts() -> None:
    """An hour of a flood: 300 KiB at most, not 90 MB."""
    gate, seconds = LogGate(), 60 * 60
    line = "x" * 500
    admitted = said = 0
    for second in range(seconds):
        for _ in range(50):
            if gate.admit(line, float(second)):
                admitted += 1
            elif gate.due() is not None:
                said += 1
    assert admitted * len(line) < 300 * 1024
    assert said < 20, "how many were stopped is said less and less often"


def test_a_server_that_lives_for_months_is_still_heard() -> None:
    gate = LogGate()
    for _ in range(5000):
        gate.admit("flood", 0.0)
    hour = 60 * 60.0
    assert [gate.admit("certificate_renewed", n * hour) for n in range(1, 100)] == [True] * 99


def test_how_many_were_stopped_is_said_at_powers_of_two_and_at_the_end() -> None:
    gate = LogGate(rate=1)
    due = (gate.due() for _ in range(100) if not gate.admit("x", 0.0))
    told = [stopped for stopped in due if stopped is not None]
    assert told == [1, 2, 4, 8, 16, 32, 64]
    assert (gate.rest(), gate.rest()) == (99, None)


def test_a_bucket_that_was_overdrawn_says_how_long_to_wait() -> None:
    bucket = Bucket(100.0, 10.0)
    bucket.take(150.0, 0.0)
    assert (bucket.pause(0.0), bucket.pause(2.0), bucket.pause(5.0)) == (5.0, 3.0, 0.0)


async def test_a_flood_is_read_at_a_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of four bursts, as much is read as the time allows; the clock is the event loop's own."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    reader = asyncio.StreamReader()
    monkeypatch.setattr(output, "READ_BURST", 1000.0)
    monkeypatch.setattr(output, "READ_RATE", 10_000.0)
    reader.feed_data((b"x" * 99 + b"\n") * 40)
    reader.feed_eof()
    monkeypatch.setattr(output, "CHUNK", 500)
    assert len([line async for line in output.lines(reader)]) == 40
    assert loop.time() - began >= 0.3


async def test_a_flood_of_empty_lines_is_read_at_a_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them is looked at, so it counts as more than its one byte."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    reader = asyncio.StreamReader()
    monkeypatch.setattr(output, "READ_BURST", 1000.0)
    monkeypatch.setattr(output, "READ_RATE", 10_000.0)
    reader.feed_data(b"\n" * 40)
    reader.feed_eof()
    monkeypatch.setattr(output, "CHUNK", 5)
    assert len([line async for line in output.lines(reader)]) == 40
    assert loop.time() - began >= 0.3
