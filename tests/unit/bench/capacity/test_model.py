"""What a pool needs is counted once and completely, and what cannot be asked is refused."""

import math
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from bench.capacity.erlang import MOST_LOAD, erlang_c, least_pool
from bench.capacity.model import Demand, DemandError, curve, size
from tests.unit.bench.capacity.demands import USUAL


@given(st.integers(1, 3000), st.integers(0, 3000), st.floats(0.001, 1), st.floats(0, 1))
def test_more_users_never_need_less(users: int, more: int, ratio: float, recycle: float) -> None:
    one = structs.replace(USUAL, users=users, active_ratio=ratio, recycle=recycle)
    other = structs.replace(one, users=users + more)
    assert size(one).standby.servers <= size(other).standby.servers
    assert size(one).standby.most <= size(other).standby.most
    assert size(one).trivial.nodes <= size(other).trivial.nodes


def test_the_session_follows_from_users_ratio_and_arrivals() -> None:
    found = size(USUAL)
    assert found.sessions == pytest.approx(100)
    assert found.session == pytest.approx(100 / 0.17)
    assert found.load == pytest.approx(100 + 0.17 * 0.014)


def test_memory_is_of_sessions_waiting_servers_and_a_template_for_each_node() -> None:
    demand = structs.replace(USUAL, node_memory=30.0 + 10 * 12.0)
    found = size(demand).standby
    assert found.servers == least_pool(demand.load, 0.01)[0] == 125
    assert found.nodes == 13
    assert found.most == pytest.approx(13 * 30 + 125 * 12)
    assert found.usual == pytest.approx(13 * 30 + 100 * 12 + 25 * 5)


def test_trivial_has_a_server_for_each_user_and_a_node_is_not_split() -> None:
    found = size(structs.replace(USUAL, node_memory=100.0)).trivial
    assert (found.servers, found.nodes, found.most) == (10_000, 3334, 300_000)


def test_who_waits_does_so_exponentially() -> None:
    found = size(USUAL)
    held, spare = found.session + 0.014, found.standby.servers - found.load
    assert found.wait == pytest.approx(held / spare)
    assert found.refused_share == pytest.approx(found.wait_share * math.exp(-15 / found.wait))


def test_the_curve_goes_through_what_was_asked_and_rises() -> None:
    points = curve(USUAL, [0.001, 0.01, 0.1, 1.0])
    assert points[1].standby == size(USUAL).standby
    assert {each.trivial.servers for each in points} == {10_000}
    pools = [each.standby.servers for each in points]
    assert pools == sorted(set(pools))


def test_a_hundred_thousand_users_who_are_all_active_take_no_second() -> None:
    began = time.process_time()
    found = size(structs.replace(USUAL, users=100_000, active_ratio=1.0, arrivals=170.0))
    assert time.process_time() - began < 1
    assert found.standby.servers > 100_000
    assert found.wait_share == pytest.approx(erlang_c(found.standby.servers, found.load))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"users": 0}, "users: 0"),
        ({"users": -1}, "users: -1"),
        ({"users": 10**400}, "users: 1000"),
        ({"active_ratio": 0.0}, "active ratio: 0"),
        ({"active_ratio": 1.01}, "active ratio: 1.01 is above 1"),
        ({"active_ratio": math.nan}, "active ratio: nan"),
        ({"arrivals": 0.0}, "arrivals: 0"),
        ({"arrivals": math.inf}, "arrivals: inf"),
        ({"recycle": -0.1}, "recycle: -0.1 is not from 0 to"),
        ({"server_memory": 0.0}, "server memory: 0"),
        ({"waiting_memory": 13.0}, "waiting memory: "),
        ({"trivial_memory": 0.0}, "trivial memory: 0"),
        ({"template_memory": -1.0}, "template memory: -1"),
        ({"node_memory": 41.9}, "node memory: 41.9 MiB do not hold one server"),
        ({"node_memory": 29.0, "template_memory": 0.0}, "need at least 30"),
        ({"wait_limit": 0.0}, "wait limit: 0"),
        ({"wait_limit": 1.0}, "wait limit: 1 is not below 1"),
        ({"users": 2 * MOST_LOAD, "active_ratio": 1.0}, "divide the users among several"),
    ],
)
def test_what_cannot_be_asked(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(DemandError) as refused:
        structs.replace(USUAL, **wrong)
    assert said in str(refused.value)
    assert refused.value.code == "bad_demand"


@pytest.mark.parametrize("name", ["recycle", "waiting_memory", "template_memory"])
def test_what_may_be_nothing(name: str) -> None:
    assert size(structs.replace(USUAL, **{name: 0.0})).standby.servers == 125


@given(
    st.builds(
        Demand,
        users=st.integers(1, 100),
        active_ratio=st.floats(0.001, 1),
        arrivals=st.floats(1e-9, 1e6),
        recycle=st.floats(1e-9, 1e-3),
        server_memory=st.floats(1e-9, 1),
        waiting_memory=st.just(0.0),
        trivial_memory=st.floats(1e-9, 1),
        template_memory=st.floats(1e-9, 1),
        node_memory=st.floats(2, 1e12),
        wait_limit=st.floats(1e-6, 0.9),
    )
)
def test_whatever_may_be_asked_has_a_finite_answer(demand: Demand) -> None:
    found = size(demand)
    numbers = [found.session, found.load, found.wait_share, found.wait, found.refused_share]
    for each in (found.standby, found.trivial):
        numbers += [each.usual, each.most]
        assert each.nodes >= 1
    assert all(math.isfinite(number) and number >= 0 for number in numbers)
