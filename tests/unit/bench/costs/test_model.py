"""The total is the weighted mean of the alphas, and weights that are not allowed calculate nothing."""

import math

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bench.costs.errors import AlphaError, MissingAlphaError, WeightsError
from bench.costs.model import Alpha, Profile, Total, meaning, total
from bench.experiment.record import Estimate

ratios = st.floats(0.01, 100)


def _profile(**weights: float) -> Profile:
    return Profile(name="p", title="P", about="", source="", weights=weights)


def _estimate(value: float, low: float, high: float) -> Estimate:
    return Estimate(value=value, low=low, high=high)


def test_the_sources_profile_1_costs_what_it_says() -> None:
    found = total(_profile(a=1.5, b=0.75, c=0.75), {"a": 2.37, "b": 5.67, "c": 1.33})
    assert found.value == pytest.approx(2.935)
    assert not found.has_interval


def test_the_sources_profile_2_is_refused_because_its_weights_sum_to_3_5() -> None:
    with pytest.raises(WeightsError, match=r"3 weights must sum to 3, and these sum to 3\.5"):
        _profile(a=1.0, b=2.0, c=0.5)


@pytest.mark.parametrize(
    "weights",
    [
        {},
        {"a": -1.0, "b": 3.0},
        {"a": math.nan},
        {"a": math.inf},
        {"a": 1.0, "b": 1.0 + 1e-6},
        {"a": 0.0},
    ],
)
def test_weights_that_are_refused(weights: dict[str, float]) -> None:
    with pytest.raises(WeightsError) as refused:
        _profile(**weights)
    assert refused.value.code == "bad_weights"


def test_weights_that_are_refused_are_refused_in_a_file_too() -> None:
    text = 'name = "p"\ntitle = ""\nabout = ""\nsource = ""\nweights = { a = 2.0 }'
    with pytest.raises(WeightsError, match="profile p"):
        msgspec.toml.decode(text, type=Profile)


def test_thirds_in_decimals_that_sum_only_nearly_are_allowed() -> None:
    third = 0.66666666667
    assert 3 * third + 2 != 4
    alphas: dict[str, Alpha] = dict.fromkeys("abcd", 1.0)
    found = total(_profile(a=third, b=third, c=third, d=2.0), alphas)
    assert found.value == pytest.approx(1)


def test_an_alpha_that_is_missing_is_named_unless_its_weight_is_0() -> None:
    with pytest.raises(MissingAlphaError, match=r"not measured: b$"):
        total(_profile(a=1.0, b=1.0), {"a": 1.0})
    assert total(_profile(a=2.0, b=0.0), {"a": 0.5}).value == pytest.approx(0.5)


@pytest.mark.parametrize(
    "alpha",
    [0.0, -1.0, math.nan, math.inf, _estimate(1, 1.1, 2), _estimate(1, 0.5, math.inf)],
)
def test_what_is_no_alpha_is_refused(alpha: Alpha) -> None:
    with pytest.raises(AlphaError, match=r"^a: "):
        total(_profile(a=1.0), {"a": alpha})


def test_the_interval_goes_from_all_lows_to_all_highs_and_names_what_has_none() -> None:
    alphas: dict[str, Alpha] = {"login": _estimate(2, 1, 4), "memory": 0.2}
    found = total(_profile(login=0.5, memory=1.5), alphas)
    assert (found.value, found.low, found.high) == pytest.approx((0.65, 0.4, 1.15))
    assert found.exact == ["memory"]
    assert found.has_interval


@given(st.lists(st.tuples(st.floats(0, 10), ratios, ratios, ratios), min_size=1, max_size=7))
def test_a_total_lies_between_its_smallest_and_largest_alpha_and_within_its_interval(
    rows: list[tuple[float, float, float, float]],
) -> None:
    summed = sum(row[0] for row in rows)
    assume(summed > 0.1)
    weights = {f"v{n}": row[0] * len(rows) / summed for n, row in enumerate(rows)}
    alphas = {
        f"v{n}": _estimate(*(sorted(row[1:])[i] for i in (1, 0, 2))) for n, row in enumerate(rows)
    }
    found = total(_profile(**weights), alphas)
    used = [alphas[name].value for name, weight in weights.items() if weight]
    assert min(used) * (1 - 1e-9) <= found.value <= max(used) * (1 + 1e-9)
    assert found.low <= found.value <= found.high


@pytest.mark.parametrize(
    ("value", "low", "high", "said"),
    [
        (0.5, 0.4, 0.6, "costs 50 % of what trivial costs"),
        (2.0, 1.5, 2.5, "costs 2 times what trivial costs"),
        (1.2, 0.9, 1.5, "cannot be told from trivial: the interval holds 1"),
        (1.2, 1.2, 1.2, "costs 1.2 times what trivial costs"),
        (1.0, 1.0, 1.0, "costs the same as trivial"),
    ],
)
def test_a_total_in_words(value: float, low: float, high: float, said: str) -> None:
    assert meaning(Total(value=value, low=low, high=high, exact=[])) == said
