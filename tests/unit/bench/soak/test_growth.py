"""Growth is found if it is there, at any length of the run, and noise, bursts and steps are not called growth."""

import random

import pytest

from bench.soak import growth
from bench.soak.figures import KINDS, Figure, Kind
from bench.soak.growth import FEWEST, READINGS, Reading, Verdict

LENGTH = 3600.0
MEMORY = KINDS[Figure.MEMORY]
LOG = KINDS[Figure.LOG]


def _readings(value: "float | None" = None, **line: float) -> list[Reading]:
    """One every five seconds: a level, a slope an hour, and noise up to so much."""
    dice = random.Random(7)
    level = value or line.get("level", 50.0)
    return [
        (
            at,
            level
            + line.get("slope", 0.0) * at / LENGTH
            + dice.uniform(-1, 1) * line.get("noise", 0.0),
        )
        for at in range(0, int(LENGTH), 5)
    ]


def _judge(readings: list[Reading], kind: Kind = MEMORY) -> growth.Trend:
    return growth.judge(readings, growth.warm_up(LENGTH), LENGTH, kind)


def test_a_constant_is_steady() -> None:
    trend = _judge(_readings())
    assert trend.verdict is Verdict.STEADY
    assert trend.slope_per_hour == pytest.approx(0.0)
    assert trend.first == pytest.approx(50.0)


@pytest.mark.parametrize("noise", [0.0, 2.0, 10.0])
def test_a_leak_is_found_through_noise(noise: float) -> None:
    trend = _judge(_readings(slope=20.0, noise=noise))
    assert trend.verdict is Verdict.GROWS
    assert trend.slope_per_hour == pytest.approx(20.0, rel=0.25)
    assert (trend.surely_per_hour or 0.0) <= (trend.slope_per_hour or 0.0)


@pytest.mark.parametrize("seed", range(20))
def test_noise_is_no_growth(seed: int) -> None:
    dice = random.Random(seed)
    assert _judge([(at, dice.uniform(20, 80)) for at, _ in _readings()]).verdict is Verdict.STEADY


def test_what_happens_during_the_warm_up_is_not_judged() -> None:
    warm = growth.warm_up(LENGTH)
    readings = [(at, min(at, warm) / 10) for at, _ in _readings()]
    assert _judge(readings).verdict is Verdict.STEADY


def test_bursts_are_no_growth() -> None:
    readings = [
        (at, 500.0 if at % 400 == 0 or at > LENGTH - 200 else 50.0) for at, _ in _readings()
    ]
    assert _judge(readings).verdict is Verdict.STEADY


def test_a_growth_within_the_allowance_is_none() -> None:
    allowed = MEMORY.allowance(50.0)
    judged = LENGTH - growth.warm_up(LENGTH)
    slope = allowed * LENGTH / judged
    assert _judge(_readings(slope=0.9 * slope)).verdict is Verdict.STEADY
    assert _judge(_readings(slope=1.2 * slope)).verdict is Verdict.GROWS


def test_of_a_counter_the_increase_per_minute_is_judged() -> None:
    steady = [(at, 3.0 * at) for at, _ in _readings()]
    trend = _judge(steady, LOG)
    assert trend.verdict is Verdict.STEADY
    assert trend.first == pytest.approx(180.0)
    faster = [(at, 3.0 * at + at * at / 1000) for at, _ in _readings()]
    assert _judge(faster, LOG).verdict is Verdict.GROWS


def test_a_decrease_is_no_growth() -> None:
    assert _judge(_readings(slope=-30.0)).verdict is Verdict.STEADY


@pytest.mark.parametrize("count", [0, 1, FEWEST * READINGS - 1])
@pytest.mark.parametrize("kind", [MEMORY, LOG])
def test_few_readings_say_nothing(count: int, kind: Kind) -> None:
    readings = [(1800.0 + number, 50.0 + number) for number in range(count)]
    trend = _judge(readings, kind)
    assert trend.verdict is Verdict.TOO_FEW
    assert trend.readings == count
    assert trend.first is None


def test_a_run_that_was_ended_early_is_judged_by_what_it_has() -> None:
    readings = [(5.0 * number, 50.0 + number) for number in range(60)]
    trend = growth.judge(readings, growth.warm_up(300.0), 300.0, MEMORY)
    assert trend.verdict is Verdict.GROWS


def test_the_lower_bound_is_below_the_slope_and_equal_without_noise() -> None:
    exact = [(float(at), 2.0 * at) for at in range(20)]
    assert list(growth.theil_sen(exact)) == pytest.approx([2.0, 2.0])
    dice = random.Random(1)
    slope, surely = growth.theil_sen([(at, value + dice.uniform(-5, 5)) for at, value in exact])
    assert surely < slope


def test_every_figure_has_a_kind() -> None:
    assert set(KINDS) == set(Figure)
