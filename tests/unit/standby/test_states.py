"""The table of transitions keeps the promises of the design."""

from itertools import product

import pytest

from standby.states import TRANSITIONS, Event, IllegalTransitionError, State, after


def test_no_way_leads_from_active_back_to_ready() -> None:
    reachable = {State.ACTIVE}
    while True:
        more = {to for (start, _), to in TRANSITIONS.items() if start in reachable} - reachable
        if not more:
            break
        reachable |= more
    assert reachable == {State.ACTIVE, State.STOPPED}


def test_a_stopped_process_takes_no_event() -> None:
    assert not [event for state, event in TRANSITIONS if state is State.STOPPED]


def test_every_living_state_ends_when_the_process_is_gone() -> None:
    for state in set(State) - {State.STOPPED}:
        assert after(state, Event.GONE) is State.STOPPED


@pytest.mark.parametrize(
    ("state", "event"), [pair for pair in product(State, Event) if pair not in TRANSITIONS]
)
def test_an_unknown_event_is_one_error_that_names_state_and_event(
    state: State, event: Event
) -> None:
    with pytest.raises(IllegalTransitionError) as caught:
        after(state, event)
    assert state in str(caught.value)
    assert event in str(caught.value)
