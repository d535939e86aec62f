"""What `standby up` refuses before anything starts, and what it says."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from app_wrapper.settings import Attestation
from standby.approach import Approach
from standby.identity import Role
from standby.settings import SettingsError
from standby_cli import preflight, surroundings
from standby_cli.authorities import Authorities
from standby_cli.errors import ConfigurationError
from standby_cli.layout import Layout
from standby_cli.options import Options
from standby_cli.parts import Plan
from standby_cli.ports import LOOPBACK, Ports

Refused = (SettingsError, ConfigurationError)


@pytest.fixture
def plan(tmp_path: Path) -> Iterator[Plan]:
    layout = Layout(tmp_path / "state")
    layout.make()
    Authorities(layout).make()
    options = Options(Approach.STANDBY, 3, 2, LOOPBACK, 0, Attestation.SOFT_DCAP)
    ports = Ports.reserve(LOOPBACK, 0, options.wrappers, manager=True)
    yield Plan(options, ports, layout, Authorities(layout))
    ports.close()


def _set(monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]) -> None:
    for name, text in environ.items():
        monkeypatch.setenv(name, text)


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("STANDBY_STATEDIR", "STANDBY_STATE_DIR"),
        ("STANDBY_LOGSIZE", "STANDBY_LOG_SIZE"),
        ("ROUTING_MANAGER_WAITINGROOM", "ROUTING_MANAGER_WAITING_ROOM"),
        ("APP_WRAPPER_POOLSIZE", "APP_WRAPPER_POOL_SIZE"),
        ("APP_WRAPPER_LOG_LEVL", "APP_WRAPPER_LOG_LEVEL"),
        ("LB_LUA_MAX_CONNECTION", "LB_LUA_MAX_CONNECTIONS"),
        ("APPWRAPPER_POOL_SIZE", "APP_WRAPPER_POOL_SIZE"),
        ("lb_lua_threads", "LB_LUA_THREADS"),
    ],
)
def test_a_misspelt_setting_of_any_part_is_named_with_what_is_meant(
    variable: str, meant: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        surroundings.check_settings({variable: "1"})
    assert str(raised.value) == f"there is no setting {variable}; did you mean {meant}?"


@pytest.mark.parametrize(
    "environ",
    [
        {"APP_WRAPPER_FIRST_SERVER_UID": "abc"},
        {"APP_WRAPPER_PORT": "99999"},
        {"ROUTING_MANAGER_WAITING_ROOM": "long"},
        {"LB_LUA_THREADS": "0"},
        {"STANDBY_LOG_FILES": "0"},
        {"ROUTING_MANAGER_LOG_LEVEL": "loud"},
    ],
)
def test_a_value_that_cannot_be_used_is_named(environ: dict[str, str]) -> None:
    ((variable, text),) = environ.items()
    with pytest.raises(SettingsError) as raised:
        surroundings.check_settings(environ)
    assert str(raised.value).lower().startswith(f"{variable}={text}: expected".lower())


def test_the_environment_of_any_other_program_is_no_concern_of_ours() -> None:
    surroundings.check_settings(
        {"PATH": "/bin", "STANDBYE_X": "1", "APP_WRAPPERS": "2", "LB_LUA": ""}
    )


async def test_parts_of_a_usual_platform_can_work(plan: Plan) -> None:
    await preflight.check_parts(plan, os.environ)
    assert not plan.authorities.files(Role.WRAPPER, "w1").key.exists(), "only looked"


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"SMARTGRID_MAX_ROWS": "0"}, "servers of smartgrid cannot work .* SMARTGRID_MAX_ROWS=0: "),
        ({"SMARTGRID_MAX_ROW": "9"}, "SMARTGRID_MAX_ROW; did you mean SMARTGRID_MAX_ROWS?"),
        ({"SMARTGRID_SESSION_LENGTH": "long"}, "servers of smartgrid .* SMARTGRID_SESSION_LENGTH="),
        ({"SMARTGRID_SESSION_LENGTH": "99999"}, "raise APP_WRAPPER_SESSION_MAX"),
        ({"SMARTGRID_LOG_LEVEL": "loud"}, "servers of smartgrid .* SMARTGRID_LOG_LEVEL=loud"),
        ({"SMARTGRID_SESSION_MAX": "9"}, "SMARTGRID_SESSION_MAX has no effect: .*app.toml"),
        ({"SMARTGRID_LISTEN_FD": "3"}, "SMARTGRID_LISTEN_FD has no effect"),
        ({"SMARTGRID_VOLUMES_DIR": "/x"}, "SMARTGRID_VOLUMES_DIR has no effect"),
        ({"SMARTGRID_ISSUER_KEY": "/x"}, "SMARTGRID_ISSUER_KEY has no effect"),
        ({"APP_WRAPPER_CAPACITY": "2"}, "^w1 cannot work .*APP_WRAPPER_POOL_SIZE=3 is above"),
        ({"APP_WRAPPER_STATE_DIR": "/x"}, "has no effect, .* use --state-dir"),
        ({"APP_WRAPPER_HOST": "0.0.0.0"}, "APP_WRAPPER_HOST has no effect"),
        ({"ROUTING_MANAGER_TLS_KEY": "/x"}, "ROUTING_MANAGER_TLS_KEY has no effect"),
        ({"LB_LUA_PORT": "4433"}, "LB_LUA_PORT has no effect, .* use --port"),
        ({"LB_LUA_SESSION_LENGTH": "7"}, "use SMARTGRID_SESSION_LENGTH"),
        ({"LB_LUA_HAPROXY": "no-such-program"}, "there is no program no-such-program"),
        ({"LB_LUA_MAX_CONNECTIONS": "900000"}, "ulimit"),
        (
            {"APP_WRAPPER_FIRST_PORT": "4000", "APP_WRAPPER_LAST_PORT": "4004"},
            "6 servers need as many",
        ),
    ],
)
async def test_what_could_not_work_or_would_have_no_effect_is_refused(
    environ: dict[str, str], says: str, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set(monkeypatch, environ)
    with pytest.raises(Refused, match=says):
        await preflight.check_parts(plan, os.environ)


@pytest.mark.parametrize(
    "environ",
    [
        {"APP_WRAPPER_FIRST_SERVER_UID": "800000"},
        {"APP_WRAPPER_PORT": "0", "ROUTING_MANAGER_CONTROL_PORT": "0"},
        {"APP_WRAPPER_POOL_SIZE": "9", "APP_WRAPPER_ATTESTATION": "off"},  # options win
        {"APP_WRAPPER_HOST": "127.0.0.1"},  # what it would be anyway
        {"SMARTGRID_SESSION_LENGTH": "60", "SMARTGRID_MAX_ROWS": "1"},
    ],
)
async def test_what_has_its_effect_is_taken(
    environ: dict[str, str], plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set(monkeypatch, environ)
    surroundings.check_settings(os.environ)
    await preflight.check_parts(plan, os.environ)


def test_every_directory_of_the_state_is_looked_at(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "state")
    layout.make()
    surroundings.check_places(layout)
    for directory in layout.directories():
        directory.chmod(0o777)
        with pytest.raises(ConfigurationError, match="can be written by every account"):
            surroundings.check_places(layout)
        directory.chmod(0o700)
    surroundings.check_places(layout)
    layout.seal_key.write_text("")
    layout.seal_key.chmod(0o666)
    with pytest.raises(ConfigurationError, match=r"seal-key .* can be written by every account"):
        surroundings.check_places(layout)
