"""Where clients connect: chosen once, kept, and told."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from app_wrapper.settings import Attestation
from standby import processes
from standby.approach import Approach
from standby_cli import address, up
from standby_cli.endpoints import Address
from standby_cli.errors import ConfigurationError
from standby_cli.layout import Layout
from standby_cli.main import cli
from standby_cli.options import Options
from standby_cli.ports import LOOPBACK, port_of


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


def _port_at_start(layout: Layout, port: int = 0) -> tuple[int, list[str]]:
    """The load balancer's port of a platform that starts, and what is told."""
    told: list[str] = []
    options = Options(Approach.STANDBY, 1, 1, LOOPBACK, port, Attestation.OFF, None)
    with up.reserved(options, layout, told.append) as ports:
        return port_of(ports.balancer), told


def test_a_platform_comes_back_on_the_port_that_clients_know(layout: Layout) -> None:
    known = address.for_clients(layout)
    assert _port_at_start(layout) == (known.port, [])
    assert _port_at_start(layout) == (known.port, [])
    assert address.for_clients(layout) == known


def test_a_port_that_was_asked_for_is_the_one_that_clients_know_from_then_on(
    layout: Layout,
) -> None:
    with processes.reserve_port(LOOPBACK, 0) as sock:
        wanted = port_of(sock)
    assert _port_at_start(layout, wanted) == (wanted, [])
    assert address.for_clients(layout).port == wanted
    assert _port_at_start(layout) == (wanted, [])


def test_a_known_port_that_another_program_has_is_exchanged_and_said(layout: Layout) -> None:
    with processes.reserve_port(LOOPBACK, 0) as sock:
        taken = port_of(sock)
        address.keep(layout, Address(host=LOOPBACK, port=taken))
        port, told = _port_at_start(layout)
        assert port != taken
        assert told == [f"port {taken}, which clients know, is in use: another one was chosen"]
        with pytest.raises(ConfigurationError):
            _port_at_start(layout, taken)


def test_a_file_that_cannot_be_read_is_as_none(layout: Layout) -> None:
    layout.address.write_text("{}")
    assert address.kept(layout) is None
    assert address.for_clients(layout).host == LOOPBACK


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "https://127.0.0.1:443"),
        ("::1", "https://[::1]:443"),
        ("0.0.0.0", "https://127.0.0.1:443"),
        ("::", "https://[::1]:443"),
    ],
)
def test_clients_get_an_address_that_they_can_connect_to(
    host: str, url: str, layout: Layout
) -> None:
    address.keep(layout, Address(host=host, port=443))
    assert address.url_of(address.for_clients(layout)) == url


def test_without_a_platform_the_url_is_not_guessed(layout: Layout) -> None:
    done = CliRunner().invoke(cli, ["url", "--state-dir", str(layout.root)])
    assert "no platform runs" in str(done.exception)
