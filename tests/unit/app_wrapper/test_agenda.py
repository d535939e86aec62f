from app_wrapper.agenda import Agenda


def test_what_is_due_is_taken_once_and_in_order() -> None:
    agenda: Agenda[str] = Agenda()
    agenda.set("late", 9.0)
    agenda.set("second", 2.0)
    agenda.set("first", 1.0)
    assert agenda.next() == 1.0
    assert agenda.take_due(5.0) == ["first", "second"]
    assert agenda.take_due(5.0) == []
    assert agenda.next() == 9.0


def test_a_time_set_again_replaces_the_earlier_one() -> None:
    agenda: Agenda[str] = Agenda()
    agenda.set("it", 1.0)
    agenda.set("it", 3.0)
    assert agenda.take_due(2.0) == []
    agenda.set("it", 2.0)
    assert agenda.take_due(2.0) == ["it"]
    assert agenda.next() is None


def test_what_was_cancelled_is_never_due() -> None:
    agenda: Agenda[str] = Agenda()
    agenda.set("it", 1.0)
    agenda.cancel("it")
    agenda.cancel("unknown")
    assert agenda.next() is None
    assert agenda.take_due(9.0) == []
