"""Which sessions no client is connected to, by the kernel's tables."""

import pytest

from app_wrapper.attendance import Attendance

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
PATIENCE = 5.0
PORT, OTHER = 8443, 8444


def table(*sockets: tuple[int, str], address: str = "0100007F") -> str:
    lines = (
        f"{number:4d}: {address}:{port:04X} {address}:D2F0 {state} 00000000:00000000 00:00000000 00000000     0 0 1 1\n"
        for number, (port, state) in enumerate(sockets)
    )
    return HEAD + "".join(lines)


LISTENS, CONNECTED, CLOSE_WAIT = "0A", "01", "08"


def seen(*tables: str) -> list[set[int]]:
    """What is abandoned at each look, as far apart as the patience lasts."""
    attendance = Attendance(PATIENCE)
    return [
        attendance.abandoned(each, [PORT], number * PATIENCE) for number, each in enumerate(tables)
    ]


def test_a_server_without_a_client_is_abandoned_once_the_patience_is_over() -> None:
    attendance, alone = Attendance(PATIENCE), table((PORT, LISTENS))
    assert attendance.abandoned(alone, [PORT], 100.0) == set()
    assert attendance.abandoned(alone, [PORT], 104.9) == set()
    assert attendance.abandoned(alone, [PORT], 105.0) == {PORT}


@pytest.mark.parametrize("address", ["0100007F", "0" * 24 + "01000000"])
def test_a_client_that_is_connected_or_comes_back_is_there(address: str) -> None:
    with_client = table((PORT, LISTENS), (PORT, CONNECTED), address=address)
    without = table((PORT, LISTENS), (OTHER, CONNECTED), address=address)
    assert seen(with_client, with_client) == [set(), set()]
    assert seen(without, with_client, without) == [set(), set(), set()]
    assert seen(without, without) == [set(), {PORT}]


def test_a_connection_that_its_client_has_ended_is_none() -> None:
    ended = table((PORT, LISTENS), (PORT, CLOSE_WAIT))
    assert seen(ended, ended)[-1] == {PORT}


def test_a_server_that_is_not_in_the_tables_is_left_alone() -> None:
    assert seen(table(), table((OTHER, LISTENS)), "") == [set(), set(), set()]


def test_servers_without_a_session_are_left_alone() -> None:
    alone = table((PORT, LISTENS), (OTHER, LISTENS))
    assert seen(alone, alone)[-1] == {PORT}
