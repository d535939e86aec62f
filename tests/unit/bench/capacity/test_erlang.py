"""The recursion is the printed formula, and the pool is the least with which few enough wait."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.capacity.erlang import erlang_b, erlang_c, least_pool


def _direct(servers: int, load: float) -> float:
    """Erlang C as it is printed; factorials and powers, so only for a few servers."""
    last = load**servers / math.factorial(servers) * servers / (servers - load)
    return last / (sum(load**k / math.factorial(k) for k in range(servers)) + last)


@given(st.integers(1, 30), st.floats(0.01, 0.999))
def test_erlang_c_is_the_printed_formula(servers: int, busy: float) -> None:
    load = servers * busy
    assert erlang_c(servers, load) == pytest.approx(_direct(servers, load), rel=1e-9)


def test_erlang_c_of_one_server_is_its_load_and_1_when_servers_are_too_few() -> None:
    assert erlang_c(1, 0.25) == pytest.approx(0.25)
    assert erlang_c(3, 3.0) == 1
    assert erlang_c(3, 7.0) == 1


def test_erlang_b_of_two_servers_and_one_erlang_is_a_fifth() -> None:
    assert erlang_b(2, 1.0) == pytest.approx(0.2)
    assert erlang_b(0, 1.0) == 1


@given(st.floats(0.001, 1000), st.floats(1e-6, 0.9))
def test_the_pool_is_larger_than_the_load_and_one_server_less_is_too_few(
    load: float, limit: float
) -> None:
    servers, waiting = least_pool(load, limit)
    assert servers > load
    assert waiting <= limit
    assert waiting == pytest.approx(erlang_c(servers, load))
    assert erlang_c(servers - 1, load) > limit
