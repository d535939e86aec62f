"""A goal is met by what was measured and by nothing else."""

import pytest

from bench.micro.goals import GOALS, judge


def test_what_was_not_measured_is_not_met() -> None:
    judged = judge({})
    assert len(judged) == len(GOALS)
    assert not any(each.met for each in judged)
    assert {each.value for each in judged} == {None}


@pytest.mark.parametrize(
    ("result", "key", "met"),
    [
        ({"recycle_ms": {"fork": {"p50": 10.0}, "spawn": {"p50": 150.0}}}, "recycle_ms", True),
        ({"recycle_ms": {"fork": {"p50": 11.0}, "spawn": {"p50": 150.0}}}, "recycle_ms", False),
        ({"route_ratio": {"first": 1.35}}, "route_ratio.first", True),
        ({"route_ratio": {"first": 1.36}}, "route_ratio.first", False),
        ({"sessions_per_second": 40.0}, "sessions_per_second", True),
        ({"sessions_per_second": 39.9}, "sessions_per_second", False),
        ({"query_avg": {"max_relative_error": 0.0}}, "query_avg.max_relative_error", True),
        ({"route_ratio": {"first": None}}, "route_ratio.first", False),
    ],
)
def test_a_goal_against_a_figure(result: dict[str, object], key: str, *, met: bool) -> None:
    (judgement,) = [each for each in judge(result) if each.key == key]
    assert judgement.met is met
