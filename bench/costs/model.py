"""The cost model of the dissertation on the Secure Container Orchestrator (SCO, UFCG), equations 4.10 to 4.13.

    C_total = (w_1 alpha_1 + ... + w_n alpha_n) / n       (4.12)
    w_1 + ... + w_n = n                                   (4.13)

alpha_i is what operation i costs on the platform under test, divided by what it costs on the control. Here the control
is the trivial approach, so C_total = 0.5 is half of what trivial costs, and 2 is twice. An alpha below 1 is usual, for
memory above all. A profile says how much each alpha matters to somebody.

An invariant: a `Profile` whose weights are not allowed does not exist. The source's own profile 2 has weights that sum
to 3.5 for three alphas (see `profiles.toml`); nothing noticed, and its printed total means nothing.

Intervals are conservative: the weighted sum of all lows to the weighted sum of all highs, as if every alpha erred the
same way. For estimates that spread like a normal distribution this covers at least what each interval covers, however
they depend on each other. An alpha without an interval counts as exact, and the total names it.

Not promised: that C_total is money. It adds ratios of different things, and means as much as its weights do.
"""

import math
from collections.abc import Mapping
from typing import Final, TypeAlias

from msgspec import Struct

from bench.costs.errors import AlphaError, MissingAlphaError, WeightsError
from bench.experiment.record import Estimate

TOLERANCE: Final = 1e-9
"""Of the sum of the weights: decimal fractions have no exact sum."""

Alpha: TypeAlias = Estimate | float
"""With an interval, or without."""


class Profile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much each cost matters to somebody."""

    name: str
    title: str
    about: str
    """Why these weights."""
    source: str
    weights: dict[str, float]
    """By variable; n is how many there are."""

    def __post_init__(self) -> None:
        """Weights that are not allowed are refused here.

        Raises:
            WeightsError: they are none, negative, not finite, or do not sum to their number.
        """
        check(self.name, self.weights)


class Example(Profile, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A profile with somebody else's alphas, and the total that was published for them."""

    alphas: dict[str, float]
    published: float


class Total(Struct, frozen=True, kw_only=True):
    """What the platform under test costs, in what the control costs."""

    value: float
    low: float
    high: float
    """As `value` where no alpha has an interval."""
    exact: list[str]
    """Weighted alphas without an interval; low and high leave their spread out."""

    @property
    def has_interval(self) -> bool:
        return self.low < self.high


def check(name: str, weights: Mapping[str, float]) -> None:
    """Pass if these weights may be used; `name` is for the message.

    Raises:
        WeightsError: why not.
    """
    if not weights:
        raise WeightsError(f"profile {name}: it has no weights")
    for variable, weight in weights.items():
        if not math.isfinite(weight) or weight < 0:
            raise WeightsError(
                f"profile {name}: the weight of {variable} is {weight:g}; it must be 0 or more, and finite"
            )
    summed = math.fsum(weights.values())
    if abs(summed - len(weights)) > TOLERANCE:
        raise WeightsError(
            f"profile {name}: {len(weights)} weights must sum to {len(weights)}, and these sum to {summed:g}"
        )


def total(profile: Profile, alphas: Mapping[str, Alpha]) -> Total:
    """C_total. A variable with weight 0 needs no alpha.

    Raises:
        MissingAlphaError: a weighted variable has no alpha.
        AlphaError: an alpha is not a positive number, or lies outside its interval.
    """
    weights = {variable: weight for variable, weight in profile.weights.items() if weight}
    if missing := [variable for variable in weights if variable not in alphas]:
        raise MissingAlphaError(f"profile {profile.name}: not measured: {', '.join(missing)}")
    used = {variable: _estimate(variable, alphas[variable]) for variable in weights}
    count = len(profile.weights)
    return Total(
        value=math.fsum(weight * used[each].value for each, weight in weights.items()) / count,
        low=math.fsum(weight * used[each].low for each, weight in weights.items()) / count,
        high=math.fsum(weight * used[each].high for each, weight in weights.items()) / count,
        exact=[each for each in weights if not isinstance(alphas[each], Estimate)],
    )


def _estimate(variable: str, alpha: Alpha) -> Estimate:
    found = alpha if isinstance(alpha, Estimate) else Estimate(value=alpha, low=alpha, high=alpha)
    if not (math.isfinite(found.high) and found.value > 0):
        raise AlphaError(
            f"{variable}: {found.value:g} is no alpha; it must be more than 0, and finite"
        )
    if not 0 <= found.low <= found.value <= found.high:
        raise AlphaError(
            f"{variable}: {found.value:g} is not between {found.low:g} and {found.high:g}"
        )
    return found


def meaning(result: Total) -> str:
    """One sentence."""
    if result.has_interval and result.low <= 1 <= result.high:
        return "cannot be told from trivial: the interval holds 1"
    if result.value == 1:
        return "costs the same as trivial"
    if result.value < 1:
        return f"costs {100 * result.value:.3g} % of what trivial costs"
    return f"costs {result.value:.3g} times what trivial costs"
