"""Only like is compared with like, and each alpha is the mean ratio over the compared cells."""

import pytest

from bench.costs.alphas import Comparison, Variable, compare, mean, ratio
from bench.costs.errors import NothingToCompareError
from bench.experiment.record import Estimate, Summary
from tests.unit.bench.costs.records import cell, experiment, group, operation, summary

PARTS = {
    "servers": group(memory=100, processors=0.5),
    "routing-manager": group(memory=70, processors=0.3),
    "generator": group(memory=500, processors=9),
}
TRIVIAL = {
    "servers": group(memory=300, processors=0.3, enclaves=100),
    "load-balancer": group(memory=20, processors=0.1),
    "generator": group(memory=500, processors=1),
}


def _only(found: list[Comparison]) -> dict[str, Variable]:
    (comparison,) = found
    return {each.name: each for each in comparison.variables}


def _two_levels() -> Summary:
    few, many = {"users": 10, "active": 1}, {"users": 10, "active": 5}
    return summary(
        experiment(
            cell("standby/fork", {"LOGIN": operation(20)}, PARTS, levels=few | {"servers": 1}),
            cell("standby/fork", {"LOGIN": operation(40)}, PARTS, levels=many | {"servers": 5}),
            cell("trivial/spawn", {"LOGIN": operation(10)}, TRIVIAL, levels=few | {"servers": 10}),
            cell("trivial/spawn", {"LOGIN": operation(10)}, TRIVIAL, levels=many | {"servers": 10}),
        )
    )


def test_an_alpha_is_the_mean_of_the_ratios_over_the_levels_whatever_the_number_of_servers() -> (
    None
):
    found = _only(compare(_two_levels()))
    assert isinstance(found["login"].alpha, Estimate)
    assert found["login"].alpha.value == pytest.approx(3)
    assert found["login"].pairs == 2


def test_memory_is_that_of_the_servers_and_processors_are_of_all_but_the_generator() -> None:
    found = _only(compare(_two_levels()))
    assert found["memory"].alpha == pytest.approx(100 / 400)
    assert found["processors"].alpha == pytest.approx(0.8 / 0.4)


def test_a_ratio_lies_between_the_ratios_of_opposite_ends() -> None:
    found = ratio(Estimate(value=4, low=3, high=6), Estimate(value=2, low=1, high=3))
    assert found == Estimate(value=2, low=1, high=6)
    assert mean([found, Estimate(value=4, low=3, high=8)]) == Estimate(value=3, low=2, high=7)


def test_systems_are_compared_each_with_each_but_simulated_ones_not_with_others() -> None:
    names = (
        "standby/fork",
        "standby/spawn",
        "standby/simulated-enclave",
        "trivial/spawn",
        "trivial/simulated-enclave",
        "on-demand/spawn",
    )
    cells = [cell(name, {"LOGIN": operation(10)}, PARTS) for name in names]
    assert [
        (each.test.name, each.control.name) for each in compare(summary(experiment(*cells)))
    ] == [
        ("standby/fork", "trivial/spawn"),
        ("standby/spawn", "trivial/spawn"),
        ("standby/simulated-enclave", "trivial/simulated-enclave"),
    ]


def test_operations_that_only_some_levels_have_count_where_both_have_them() -> None:
    reading, writing = {"write_ratio": 0.0}, {"write_ratio": 0.5}
    both = {"LOGIN": operation(10), "WRITE": operation(10, failed=2)}
    found = _only(
        compare(
            summary(
                experiment(
                    cell("standby/fork", {"LOGIN": operation(10)}, levels=reading),
                    cell("standby/fork", both, levels=writing),
                    cell("trivial/fork", {"LOGIN": operation(5)}, levels=reading),
                    cell(
                        "trivial/fork",
                        {"LOGIN": operation(5), "WRITE": operation(5)},
                        levels=writing,
                    ),
                )
            )
        )
    )
    assert set(found) == {"login", "write"}
    assert (found["login"].pairs, found["write"].pairs) == (2, 1)
    assert (found["write"].failed_test, found["write"].failed_control) == (2, 0)


def test_cells_of_different_experiments_or_levels_or_without_a_valid_run_are_not_compared() -> None:
    standby = cell("standby/fork", {"LOGIN": operation(10)}, levels={"active": 1})
    trivial = cell("trivial/fork", {"LOGIN": operation(10)}, levels={"active": 1})
    other = cell("trivial/fork", {"LOGIN": operation(10)}, levels={"active": 2})
    broken = cell("trivial/fork", {"LOGIN": operation(10)}, levels={"active": 1}, valid=0)
    assert compare(summary(experiment(standby, trivial)))
    for wrong in (
        summary(experiment(standby), experiment(trivial)),
        summary(experiment(standby, other)),
        summary(experiment(standby, broken)),
        summary(experiment(standby, cell(None, {}, levels={"active": 1}))),
    ):
        with pytest.raises(NothingToCompareError, match=r"^plan: no two cells"):
            compare(wrong)


def test_without_an_experiment_of_sessions_the_error_says_so() -> None:
    with pytest.raises(NothingToCompareError, match="no experiment of kind sessions") as error:
        compare(summary(experiment(kind="startup")))
    assert error.value.code == "nothing_to_compare"


def test_a_control_that_took_no_time_gives_no_alpha() -> None:
    cells = [
        cell(name, {"LOGIN": operation(10, half=10)}) for name in ("standby/fork", "trivial/fork")
    ]
    with pytest.raises(NothingToCompareError):
        compare(summary(experiment(*cells)))
