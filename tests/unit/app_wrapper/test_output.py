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
    assert [gate.admit(0.0) for _ in range(12)] == [True] * 10 + [False] * 2
    assert gate.take_stopped() == 2
    assert gate.take_stopped() == 0
    assert [gate.admit(0.1) for _ in range(2)] == [True, False]
    assert sum(gate.admit(100.0) for _ in range(20)) == 10
