"""The first of many like records are written, and how many were not."""

from standby.sampling import PERIOD, Sampler


def test_the_first_of_a_period_pass_and_the_others_are_counted() -> None:
    sampler = Sampler(most=3)
    assert [sampler.admit("a", 0.0) for _ in range(10)] == [0, 0, 0] + [None] * 7
    assert sampler.admit("a", PERIOD - 0.1) is None
    assert sampler.admit("a", PERIOD) == 8
    assert sampler.admit("a", PERIOD) == 0


def test_kinds_do_not_count_for_each_other() -> None:
    sampler = Sampler()
    assert sampler.admit("a", 0.0) == 0
    assert sampler.admit("b", 0.0) == 0
    assert sampler.admit("a", 0.0) is None


def test_a_quiet_period_leaves_nothing_to_tell() -> None:
    sampler = Sampler()
    assert sampler.admit("a", 0.0) == 0
    assert sampler.admit("a", 10 * PERIOD) == 0
