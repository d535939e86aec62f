"""Percentiles are values that were seen; intervals hold what they should and are not those of single requests."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.experiment import statistics
from bench.experiment.statistics import Latencies
from smartgrid_client.quantiles import percentile


def _sample(seed: int, sessions: int, each: int, spread: float) -> Latencies:
    """Requests of sessions whose level differs, log-normal."""
    choose = random.Random(seed)
    values, names = [], []
    for number in range(sessions):
        level = choose.gauss(0, spread)
        for _ in range(each):
            values.append(10 * np.exp(level + choose.gauss(0, 0.1)))
            names.append(number)
    return Latencies.of(values, names)


@given(
    st.lists(st.floats(0.1, 1e5), min_size=1, max_size=60),
    st.sampled_from([50, 95, 99]),
)
def test_a_percentile_is_that_of_the_client(values: list[float], percent: int) -> None:
    found = Latencies.of(values, list(range(len(values)))).percentile(percent)
    assert found == percentile(sorted(values), percent)


@given(st.lists(st.floats(0.1, 1e5), min_size=1, max_size=60), st.integers(1, 9))
def test_an_interval_holds_its_value(values: list[float], sessions: int) -> None:
    found = Latencies.of(values, [n % sessions for n in range(len(values))]).estimate(50)
    assert found.low <= found.value <= found.high


def test_nine_of_ten_intervals_hold_the_true_median() -> None:
    held = 0
    for seed in range(40):
        found = _sample(seed, 60, 5, 0.3).estimate(50)
        held += found.low <= 10 <= found.high
    assert held >= 34, "95 % of intervals should; 34 of 40 leaves room for chance"


def test_requests_of_the_same_session_do_not_count_as_independent() -> None:
    by_session = _sample(1, 12, 50, 0.5)
    alone = Latencies.of(list(by_session.values), list(range(by_session.values.size)))
    wide, narrow = by_session.estimate(50), alone.estimate(50)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_a_ratio_of_like_with_like_has_one_in_its_interval() -> None:
    found = statistics.ratio(_sample(1, 60, 5, 0.3), _sample(2, 60, 5, 0.3), 50)
    assert found.low < 1 < found.high


def test_a_ratio_sees_a_difference() -> None:
    slow = _sample(1, 60, 5, 0.1)
    twice = Latencies(slow.values * 2, slow.sessions)
    found = statistics.ratio(twice, _sample(2, 60, 5, 0.1), 50)
    assert found.low > 1.7
    assert found.high < 2.3


def test_without_values_there_is_no_percentile() -> None:
    with pytest.raises(ValueError, match="no values"):
        Latencies.of([], []).percentile(50)
