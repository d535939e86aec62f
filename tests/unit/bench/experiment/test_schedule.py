"""Schedules are open-loop, complete, the same for the same seed, and give no user two sessions at once."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.experiment import schedule
from bench.experiment.job import Client, Session
from bench.experiment.schedule import Shape
from smartgrid_client.requests import Operation

UIDS = [f"user-{number}" for number in range(40)]

customers = st.builds(
    Shape,
    active=st.integers(1, 40),
    sessions=st.integers(1, 4),
    spread=st.floats(0, 20),
    pause=st.floats(0.1, 5),
    session=st.floats(1, 30),
    write_ratio=st.floats(0, 1),
    period=st.floats(0.1, 5),
)


def _moments(session: Session) -> list[float]:
    return [each.at for each in session.requests if each.at is not None]


@given(customers, st.integers())
def test_sessions_go_from_login_to_logout_at_equal_distances(shape: Shape, seed: int) -> None:
    planned = schedule.sessions(shape, UIDS, seed)
    assert len(planned) == shape.active * shape.sessions
    for session in planned:
        kinds = [each.operation for each in session.requests]
        assert kinds[0] is Operation.LOGIN
        assert kinds[-1] is Operation.LOGOUT
        assert set(kinds[1:-1]) <= {Operation.WRITE, Operation.QUERY_AVG}
        at = _moments(session)
        assert at[-1] - at[0] == pytest.approx(shape.session)
        assert at == sorted(at)
        distances = [later - earlier for earlier, later in pairwise(at[:-1])]
        assert distances == pytest.approx([shape.period] * len(distances))


@given(customers, st.integers())
def test_no_user_has_two_sessions_at_once_and_no_place_either(shape: Shape, seed: int) -> None:
    planned = schedule.sessions(shape, UIDS, seed)
    for who in ("uid", "lane"):
        busy: dict[object, list[tuple[float, float]]] = {}
        for session in planned:
            at = _moments(session)
            busy.setdefault(getattr(session, who), []).append((at[0], at[-1]))
        for spans in busy.values():
            spans.sort()
            assert all(end < begin for (_, end), (begin, _) in pairwise(spans))


@given(customers, st.integers())
def test_the_same_seed_gives_the_same_schedule(shape: Shape, seed: int) -> None:
    assert schedule.sessions(shape, UIDS, seed) == schedule.sessions(shape, UIDS, seed)


@given(customers, st.integers())
def test_at_full_activity_every_place_has_a_session(shape: Shape, seed: int) -> None:
    one = Shape(**{**{f: getattr(shape, f) for f in shape.__struct_fields__}, "sessions": 1})
    planned = schedule.sessions(one, UIDS, seed)
    bounds = schedule.full(planned)
    if bounds is not None:
        middle = sum(bounds) / 2
        open_then = [each for each in planned if _moments(each)[0] <= middle <= _moments(each)[-1]]
        assert len(open_then) == shape.active


def test_writes_are_as_many_as_the_ratio_says() -> None:
    shape = Shape(active=40, sessions=1, spread=1, pause=1, session=600, write_ratio=0.1, period=1)
    counted = Counter(
        each.operation for session in schedule.sessions(shape, UIDS, 7) for each in session.requests
    )
    share = counted[Operation.WRITE] / (counted[Operation.WRITE] + counted[Operation.QUERY_AVG])
    assert share == pytest.approx(0.1, abs=0.01)


def test_a_meter_logs_in_writes_and_logs_out_at_once() -> None:
    shape = Shape(
        active=3, sessions=1, spread=10, pause=1, session=600, write_ratio=None, period=None
    )
    planned = schedule.sessions(shape, UIDS, 1)
    for session in planned:
        assert session.client is Client.METER
        assert [each.operation for each in session.requests] == [
            Operation.LOGIN,
            Operation.LONG_WRITE,
            Operation.LOGOUT,
        ]
        assert [each.at is None for each in session.requests] == [False, True, True]
    assert schedule.full(planned) is None
    assert shape.seconds == 10
