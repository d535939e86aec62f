"""Waits between tries are bounded whatever happens, and quantiles are what they are defined to be."""

from hypothesis import given
from hypothesis import strategies as st

from smartgrid_client import errors
from smartgrid_client.quantiles import percentile
from smartgrid_client.requests import Operation
from smartgrid_client.retry import Policy, may_repeat
from smartgrid_client.schedule import Schedule
from standby.messages import ErrorDetail

DETAIL = ErrorDetail(code="some_code", message="no", id="1")
ERRORS = [
    errors.UnreachableError("x"),
    errors.BusyError("x"),
    errors.ServerNotTrustedError("x"),
    errors.CertificateRefusedError("x"),
    errors.UnansweredError("x"),
    errors.UnexpectedAnswerError("x"),
    *(kind(400, DETAIL) for kind in (
        errors.RefusedError, errors.SessionOverError, errors.NotNowError, errors.ServerFailedError,
    )),
]  # fmt: skip
policies = st.builds(
    lambda first, more, deadline: Policy(first, first + more, deadline),
    st.floats(0.001, 10),
    st.floats(0, 100),
    st.floats(0, 1000),
)
luck = st.floats(0, 1)
attempts = st.integers(1, 10_000)


@given(
    policies,
    st.sampled_from(Operation),
    st.sampled_from(ERRORS),
    attempts,
    st.floats(0, 2000),
    luck,
)
def test_a_wait_is_never_longer_than_the_ceiling_nor_past_the_deadline(
    policy: Policy,
    operation: Operation,
    error: errors.ClientError,
    attempt: int,
    elapsed: float,
    chance: float,
) -> None:
    wait = policy.wait(operation, error, attempt, elapsed, chance)
    if wait is None:
        return
    assert may_repeat(operation, error)
    assert 0 <= wait <= policy.ceiling
    at_once = isinstance(error, errors.SessionOverError) and attempt == 1
    assert wait == 0 if at_once else elapsed + wait <= policy.deadline
    assert at_once or wait >= policy.first / 2


@given(st.floats(0.01, 1), luck, luck)
def test_a_later_try_is_not_made_sooner(first: float, chance: float, other: float) -> None:
    policy = Policy(first, 1000.0, 1e9)
    error = errors.BusyError("x")
    waits = [
        policy.wait(Operation.LOGIN, error, each, 0, 1.0 * chance) or 0 for each in range(1, 9)
    ]
    assert waits == sorted(waits)
    assert (policy.wait(Operation.LOGIN, error, 9, 0, other) or 0) >= first * 2**8 / 2


@given(st.floats(0.1, 10), st.floats(0, 60), luck)
def test_repeating_ends(first: float, deadline: float, chance: float) -> None:
    policy = Policy(first, 10.0, deadline)
    elapsed, attempt = 0.0, 0
    while True:
        attempt += 1
        wait = policy.wait(Operation.QUERY_AVG, errors.BusyError("x"), attempt, elapsed, chance)
        if wait is None:
            break
        elapsed += wait
        assert attempt <= 2 * deadline / first + 2
    assert elapsed <= deadline


@given(st.lists(st.floats(allow_nan=False), min_size=1), st.integers(1, 100))
def test_a_percentile_is_the_highest_of_the_fastest_n_percent(
    values: list[float], percent: int
) -> None:
    ordered = sorted(values)
    found = percentile(ordered, percent)
    assert found in values
    not_slower = sum(1 for each in values if each <= found)
    faster = sum(1 for each in values if each < found)
    assert not_slower * 100 >= percent * len(values)
    assert faster * 100 < percent * len(values)


def test_nothing_has_no_percentile() -> None:
    assert percentile([], 50) is None


@given(st.floats(0, 1000), st.floats(0.1, 60), st.floats(0, 600))
def test_a_schedule_stays_within_its_duration(
    start: float, frequency: float, duration: float
) -> None:
    schedule = Schedule(start, frequency, duration)
    times = list(schedule.times())
    assert times[0] == start
    assert times == sorted(times)
    rounding = 1e-9
    assert all(each - start < duration + rounding for each in times[1:])
    assert len(times) >= duration / frequency - 1
