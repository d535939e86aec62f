"""A run in which the load generator decided the figures says so."""

from bench.experiment import validity
from bench.experiment.job import Generated


def _generated(processors: float = 0.2, lag: float = 1.0) -> Generated:
    return Generated(seconds=10, processors=processors, lag_p99_ms=lag, requests=100, failed=0)


def test_a_generator_with_time_to_spare_is_fine() -> None:
    assert validity.problems(_generated(), 20.0) == []


def test_a_generator_without_time_to_spare_is_not() -> None:
    (said,) = validity.problems(_generated(processors=0.9), 20.0)
    assert "90%" in said


def test_lateness_is_measured_against_what_was_measured() -> None:
    assert validity.problems(_generated(lag=15), 200.0) == []
    (said,) = validity.problems(_generated(lag=15), 20.0)
    assert "15.0 ms late" in said


def test_without_an_answer_lateness_still_counts() -> None:
    assert len(validity.problems(_generated(lag=11), None)) == 1
