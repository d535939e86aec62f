"""The chain of inequalities between the deadlines holds."""

import pytest

from standby import deadlines


@pytest.mark.parametrize(("shorter", "longer", "why"), deadlines.CHAIN)
def test_each_shorter_deadline_ends_before_the_longer(shorter: str, longer: str, why: str) -> None:
    assert getattr(deadlines, shorter) < getattr(deadlines, longer), why


@pytest.mark.parametrize(("names", "longer", "why"), deadlines.SUMS)
def test_deadlines_that_follow_each_other_fit_together(
    names: tuple[str, ...], longer: str, why: str
) -> None:
    assert sum(getattr(deadlines, name) for name in names) < getattr(deadlines, longer), why


def test_every_deadline_says_why_it_has_its_value() -> None:
    values = {name for name, value in vars(deadlines).items() if isinstance(value, float)}
    source = deadlines.__loader__.get_source("standby.deadlines")  # type: ignore[union-attr]  # a file loader
    assert source is not None
    undocumented = {
        name for name in values if f'{name}: Final = {getattr(deadlines, name)}\n"""' not in source
    }
    assert not undocumented
