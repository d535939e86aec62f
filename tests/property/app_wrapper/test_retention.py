"""Which copies are kept, for any course of sessions: against a model that keeps all of them."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from app_wrapper.volumes.retention import DAY, kept


@dataclass(frozen=True)
class Taken:
    number: int
    taken: float


pauses = st.lists(
    st.one_of(st.floats(0, 60), st.floats(0, 2 * DAY), st.just(DAY), st.floats(0, 30 * DAY)),
    min_size=1,
    max_size=40,
)
newest = st.integers(1, 5)


def _course(between: list[float]) -> list[Taken]:
    """Copies with these pauses before each."""
    now, taken = 1e9, []
    for number, pause in enumerate(between, start=1):
        now += pause
        taken.append(Taken(number, now))
    return taken


def _after_each(course: list[Taken], newest: int) -> list[list[Taken]]:
    """What is there after each copy was made."""
    there: list[Taken] = []
    found = []
    for each in course:
        there.append(each)
        stay = kept(there, newest, each.taken)
        there = [one for one in there if one.number in stay]
        found.append([*there])
    return found


@given(pauses, newest)
def test_each_state_outlives_the_sessions_that_may_destroy_it(
    between: list[float], newest: int
) -> None:
    course = _course(between)
    for index, there in enumerate(_after_each(course, newest)):
        assert set(course[max(0, index + 1 - newest) : index + 1]) <= set(there)


@given(pauses, newest, st.floats(0, 1))
def test_for_a_day_there_is_a_copy_from_before_any_moment_however_many_follow(
    between: list[float], newest: int, part: float
) -> None:
    course = _course(between)
    for index, there in enumerate(_after_each(course, newest)):
        now = course[index].taken
        moment = now - part * DAY
        if any(each.taken <= moment for each in course):
            assert any(each.taken <= moment for each in there)


@given(pauses, newest)
def test_there_are_never_more_than_two_beside_the_newest(between: list[float], newest: int) -> None:
    for there in _after_each(_course(between), newest):
        assert len(there) <= newest + 2


@given(pauses, st.integers(1, 5), st.floats(-40 * DAY, 40 * DAY))
def test_a_clock_that_is_wrong_costs_none_of_the_newest(
    between: list[float], newest: int, wrong: float
) -> None:
    course = _course(between)
    stay = kept(course, newest, course[-1].taken + wrong)
    assert {each.number for each in course[-newest:]} <= stay


@given(pauses, newest)
def test_what_was_removed_is_not_missed_later(between: list[float], newest: int) -> None:
    """The same copies stay when they are looked at again: nothing goes by looking alone."""
    course = _course(between)
    for index, there in enumerate(_after_each(course, newest)):
        assert kept(there, newest, course[index].taken) == {each.number for each in there}


def test_ten_sessions_in_an_hour_leave_the_copy_from_before_them() -> None:
    course = _course([0.0, 3 * DAY, *[360.0] * 10])
    *_, there = _after_each(course, 3)
    assert [each.number for each in there] == [1, 2, 10, 11, 12]
