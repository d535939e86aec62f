import contextlib
import socket

import pytest

from app_wrapper.application import SocketMode
from app_wrapper.launchers import LaunchError
from app_wrapper.listening import Listening
from standby.ids import Uid


@pytest.fixture
def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _connects(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_a_place_listens_before_the_server_exists() -> None:
    listening = Listening("127.0.0.1", SocketMode.INHERIT)
    place = listening.open()
    inherited = place.fd
    assert inherited is not None
    assert _connects(place.port)
    place.handed_over()
    assert place.fd is None
    assert not _connects(place.port)  # nobody has a copy here


def test_with_a_port_only_the_number_is_given() -> None:
    place = Listening("127.0.0.1", SocketMode.PORT).open()
    assert place.fd is None
    assert not _connects(place.port)


def test_a_range_is_used_from_its_start_and_again(free_port: int) -> None:
    listening = Listening("127.0.0.1", SocketMode.INHERIT, free_port, free_port)
    place = listening.open()
    assert place.port == free_port
    with pytest.raises(LaunchError, match="no free port"):
        listening.open()
    listening.give_back(place)
    again = listening.open()
    assert again.port == free_port
    listening.give_back(again)


def test_a_port_that_somebody_else_has_is_passed_over() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        listening = Listening("127.0.0.1", SocketMode.INHERIT, port, port)
        with pytest.raises(LaunchError, match="in use"):
            listening.open()


def test_a_users_own_place_stays_through_restarts() -> None:
    listening = Listening("127.0.0.1", SocketMode.INHERIT)
    with contextlib.closing(listening):
        place = listening.open(Uid("anna"))
        place.handed_over()
        listening.give_back(place)
        assert _connects(place.port)
        assert listening.open(Uid("anna")).port == place.port
        other = listening.open(Uid("bert"))
        assert other.port != place.port
    assert not _connects(place.port)
