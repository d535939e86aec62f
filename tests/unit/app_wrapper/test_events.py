import pytest

from app_wrapper.application import Events
from app_wrapper.events import EventReader, Login, Logout, Nonsense, Said, Waiting
from standby.ids import Uid
from standby.states import StopReason


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("WAITING_LOGIN", Waiting()),
        ("LOGIN anna", Login(Uid("anna"))),
        ("LOGIN Anna", Login(Uid("anna"))),
        ("LOGOUT", Logout(StopReason.LOGOUT)),
        ("LOGOUT expired", Logout(StopReason.EXPIRED)),
        ("LOGOUT whatever", Logout(StopReason.LOGOUT)),
        ("LOGOUT lost", Logout(StopReason.LOGOUT)),
        ("LOGOUT killed", Logout(StopReason.LOGOUT)),
        ("", None),
        (" WAITING_LOGIN", None),
        ("WAITING_LOGIN now", None),
        ("I saw LOGIN anna", None),
        ("LOGIN", None),
        ("LOGIN anna bert", None),
    ],
)
def test_a_line_is_an_event_only_as_a_whole(line: str, said: Said | None) -> None:
    assert EventReader(Events()).read(line) == said


@pytest.mark.parametrize("name", ["../etc", "a_b", "-a", "a" * 64, "ä"])
def test_a_login_of_an_impossible_user_is_nonsense(name: str) -> None:
    assert isinstance(EventReader(Events()).read(f"LOGIN {name}"), Nonsense)


def test_an_application_may_have_words_of_its_own() -> None:
    reader = EventReader(
        Events(
            waiting="ready to serve", login=r"user=(?P<uid>\w+) opened .*", logout="session over"
        )
    )
    assert reader.read("ready to serve") == Waiting()
    assert reader.read("user=anna opened the door") == Login(Uid("anna"))
    assert reader.read("session over") == Logout()
    assert reader.read("WAITING_LOGIN") is None
