"""What `standby up` makes of its options."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import app_wrapper.settings
import lb_lua.settings
import routing_manager.settings
from standby import settings
from standby_cli import progress, status, supervisor
from standby_cli.authorities import Authorities
from standby_cli.layout import Layout
from standby_cli.parts import Approach, Options, Part, Ports, plan


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "state")
    made.make()
    Authorities(made.pki).make()
    return made


@pytest.fixture
def reserved(request: pytest.FixtureRequest) -> Iterator[tuple[Options, Ports]]:
    options = Options(request.param, 3, 2, "127.0.0.1", 0)
    ports = Ports.reserve(options)
    yield options, ports
    ports.close()


def _planned(reserved: tuple[Options, Ports], layout: Layout) -> dict[str, Part]:
    return {part.name: part for part in plan(*reserved, layout)}


@pytest.mark.parametrize("reserved", [Approach.STANDBY, Approach.ON_DEMAND], indirect=True)
def test_every_part_can_read_its_settings(reserved: tuple[Options, Ports], layout: Layout) -> None:
    parts = _planned(reserved, layout)
    assert list(parts) == ["w1", "w2", "haproxy", "routing-manager"]
    wrapper = settings.load(app_wrapper.settings.Settings, "APP_WRAPPER", parts["w2"].environ)
    manager = settings.load(
        routing_manager.settings.Settings, "ROUTING_MANAGER", parts["routing-manager"].environ
    )
    balancer = settings.load(lb_lua.settings.Settings, "LB_LUA", parts["haproxy"].environ)
    assert (wrapper.id, wrapper.pool_size) == ("w2", 3)
    assert wrapper.report_urls == (f"https://127.0.0.1:{manager.control_port}",)
    assert balancer.routing_manager_port == manager.port


@pytest.mark.parametrize("reserved", [Approach.TRIVIAL], indirect=True)
def test_trivial_has_no_routing_manager(reserved: tuple[Options, Ports], layout: Layout) -> None:
    parts = _planned(reserved, layout)
    assert list(parts) == ["w1", "w2", "haproxy"]
    balancer = settings.load(lb_lua.settings.Settings, "LB_LUA", parts["haproxy"].environ)
    assert balancer.static_map == layout.lb / "users.map"


@pytest.mark.parametrize("reserved", [Approach.STANDBY], indirect=True)
def test_no_secret_is_in_the_environment_of_a_part(
    reserved: tuple[Options, Ports], layout: Layout
) -> None:
    keys = [path.read_text() for path in layout.pki.glob("*-key.pem")]
    assert keys
    for part in _planned(reserved, layout).values():
        given = "\n".join(part.environ.values())
        assert "PRIVATE KEY" not in given
        assert "environ" not in repr(part)


def test_the_pause_before_a_restart_grows_and_is_forgotten() -> None:
    pauses = [supervisor.FIRST_PAUSE]
    for _ in range(10):
        pauses.append(supervisor.next_pause(pauses[-1], ran_for=0.5))
    assert pauses == sorted(pauses)
    assert pauses[-1] == supervisor.LONGEST_PAUSE
    assert supervisor.next_pause(pauses[-1], supervisor.STEADY) == supervisor.FIRST_PAUSE


def test_what_is_told_over_a_pipe_ends_with_the_outcome() -> None:
    reader, writer = os.pipe()
    tell = progress.pipe_teller(writer)
    tell("two\nlines")
    tell(progress.READY)
    tell("never heard")
    with os.fdopen(reader) as lines:
        assert list(lines) == ["two\\nlines\n", "ready\n"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (59.94, "59.9 s"), (61, "1 min"), (7200, "2.0 h")]
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert status.duration(seconds) == text
