"""Ports are reserved before anything starts, and no two platforms have the same one."""

import contextlib
import socket
from collections.abc import Iterator

import pytest

from standby import processes
from standby_cli.errors import ConfigurationError
from standby_cli.ports import LOOPBACK, Fixed, Ports, port_of, refuse_taken


@contextlib.contextmanager
def _reserved(port: int = 0, wrappers: int = 1, fixed: Fixed | None = None) -> Iterator[Ports]:
    ports = Ports.reserve(LOOPBACK, port, wrappers, manager=True, fixed=fixed)
    try:
        yield ports
    finally:
        ports.close()


def _free(count: int) -> int:
    """The first of so many ports in a row that were free just now."""
    for _ in range(100):
        with contextlib.ExitStack() as stack:
            first = port_of(stack.enter_context(processes.reserve_port()))
            with contextlib.suppress(OSError, OverflowError):
                for port in range(first + 1, first + count):
                    stack.enter_context(processes.reserve_port(LOOPBACK, port))
                return first
    raise AssertionError("no ports are free")


def test_two_platforms_of_one_account_never_have_one_port() -> None:
    with _reserved() as ports:
        port = port_of(ports.balancer)
        with pytest.raises(
            ConfigurationError, match=rf"127\.0\.0\.1:{port}: the port is in use;.*--port"
        ):
            Ports.reserve(LOOPBACK, port, 1, manager=True)
        with processes_child(port), pytest.raises(ConfigurationError, match="the port is in use"):
            Ports.reserve(LOOPBACK, port, 1, manager=True)


@contextlib.contextmanager
def processes_child(port: int) -> Iterator[socket.socket]:
    """What a part does: it listens on the port that is reserved for it."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((LOOPBACK, port))
        sock.listen()
        yield sock


def test_parts_still_listen_where_a_port_is_reserved_and_a_platform_can_start_again_at_once() -> (
    None
):
    with _reserved() as ports:
        port = port_of(ports.balancer)
        with (
            processes_child(port) as listener,
            socket.create_connection((LOOPBACK, port)) as client,
        ):
            accepted, _ = listener.accept()
            accepted.close()  # the kernel remembers this end for a minute
            assert client.recv(1) == b""
    with _reserved(port) as again:
        assert port_of(again.balancer) == port
        with processes_child(port), pytest.raises(ConfigurationError, match="in use"):
            Ports.reserve(LOOPBACK, port, 1, manager=True)


def test_chosen_ports_are_used_and_wrappers_have_them_one_after_the_other() -> None:
    first = _free(6)
    fixed = Fixed.given(
        {
            "ROUTING_MANAGER_PORT": str(first),
            "ROUTING_MANAGER_CONTROL_PORT": str(first + 1),
            "APP_WRAPPER_PORT": str(first + 2),
            "APP_WRAPPER_CONTROL_PORT": str(first + 4),
        }
    )
    with _reserved(wrappers=1, fixed=fixed) as ports:
        assert ports.add_wrapper() == "w2"
        assert ports.manager is not None
        assert [port_of(each) for each in ports.manager] == [first, first + 1]
        found = {name: [port_of(each) for each in pair] for name, pair in ports.wrappers.items()}
        assert found == {"w1": [first + 2, first + 4], "w2": [first + 3, first + 5]}


@pytest.mark.parametrize(
    ("variable", "owner"),
    [
        ("ROUTING_MANAGER_PORT", "the Routing Manager"),
        ("ROUTING_MANAGER_CONTROL_PORT", "the Routing Manager"),
        ("APP_WRAPPER_PORT", "wrapper w1"),
        ("APP_WRAPPER_CONTROL_PORT", "wrapper w1"),
    ],
)
def test_a_chosen_port_that_is_taken_names_the_part_and_the_setting(
    variable: str, owner: str
) -> None:
    with processes.reserve_port() as taken:
        fixed = Fixed.given({variable: str(port_of(taken))})
        with pytest.raises(ConfigurationError) as raised:
            Ports.reserve(LOOPBACK, 0, 1, manager=True, fixed=fixed)
        assert str(raised.value).startswith(f"{owner} cannot have 127.0.0.1:{port_of(taken)}: ")
        assert f"({variable})" in str(raised.value)
        with pytest.raises(ConfigurationError, match="in use"):
            refuse_taken("LB_LUA_METRICS_PORT", LOOPBACK, port_of(taken))


def test_what_was_reserved_before_a_refusal_is_given_back() -> None:
    port = _free(1)
    with processes.reserve_port() as taken:
        fixed = Fixed.given({"APP_WRAPPER_PORT": str(port_of(taken))})
        with pytest.raises(ConfigurationError):
            Ports.reserve(LOOPBACK, port, 1, manager=True, fixed=fixed)
    with _reserved(port) as ports:
        assert port_of(ports.balancer) == port


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_of_another_machine_is_refused_in_words(host: str) -> None:
    with pytest.raises(ConfigurationError, match="no address of this machine"):
        Ports.reserve(host, 0, 1, manager=True)
