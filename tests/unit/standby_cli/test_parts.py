"""What `standby up` makes of its options."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import app_wrapper.settings
import lb_lua.settings
import routing_manager.settings
from app_wrapper import application
from app_wrapper.settings import Attestation, LauncherKind
from attestation.policy import PolicyError
from standby import settings
from standby.approach import Approach
from standby.settings import SettingsError
from standby_cli import background, environs, errors, keeper, overview, progress, trusted
from standby_cli.authorities import Authorities
from standby_cli.layout import Layout
from standby_cli.options import Options
from standby_cli.parts import Part, Plan, smartgrid_app
from standby_cli.ports import Ports


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "state")
    made.make()
    Authorities(made).make()
    return made


@pytest.fixture
def reserved(request: pytest.FixtureRequest) -> Iterator[tuple[Options, Ports]]:
    approach, kind = (
        request.param
        if isinstance(request.param, tuple)
        else (request.param, Attestation.SOFT_DCAP)
    )
    options = Options(approach, 3, 2, "127.0.0.1", 0, kind)
    manager = approach is not Approach.TRIVIAL
    ports = Ports.reserve("127.0.0.1", 0, options.wrappers, manager=manager)
    yield options, ports
    ports.close()


def _planned(reserved: tuple[Options, Ports], layout: Layout) -> dict[str, Part]:
    plan = Plan(*reserved, layout, Authorities(layout))
    return {part.name: part for part in plan.parts()}


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
    assert balancer.routing_manager_socket == manager.routes_socket


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
    keys = [layout.seal_key, *layout.pki.glob("*-key.pem")]
    secrets = [path.read_bytes()[-40:-8].decode(errors="replace") for path in keys]
    assert len(secrets) >= 4
    for part in _planned(reserved, layout).values():
        given = "\n".join(part.environ.values())
        assert "PRIVATE KEY" not in given
        assert not any(secret in given for secret in secrets)
        assert "environ" not in repr(part)


SERVERS_ISSUER = ("SMARTGRID_ISSUER_CERTIFICATE", "SMARTGRID_ISSUER_KEY")


def _wrapper(part: Part) -> app_wrapper.settings.Settings:
    return settings.load(app_wrapper.settings.Settings, "APP_WRAPPER", part.environ)


@pytest.mark.parametrize("reserved", [Approach.STANDBY], indirect=True)
def test_each_wrapper_has_files_of_its_own_for_attestation(
    reserved: tuple[Options, Ports], layout: Layout
) -> None:
    one, two = (_wrapper(_planned(reserved, layout)[name]) for name in ("w1", "w2"))
    assert one.attestation is Attestation.SOFT_DCAP
    assert (one.policy, one.platform_dir) == (layout.policy, layout.trust)
    assert (one.issuer_certificate, one.issuer_key) == Authorities(layout).issuer("w1")
    assert (one.seal_key, one.freshness_dir) == (layout.seal_key, layout.freshness)
    assert one.user_authorities == Authorities(layout).users_root
    assert (one.audit_dir, two.audit_dir) == (layout.audit / "w1", layout.audit / "w2")
    assert one.issuer_key != two.issuer_key


@pytest.mark.parametrize(
    "reserved", [(Approach.STANDBY, each) for each in Attestation], indirect=True
)
def test_what_another_platform_left_in_the_environment_reaches_no_server(
    reserved: tuple[Options, Ports], layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = reserved[0].attestation
    theirs = ("POLICY", "ISSUER_CERTIFICATE", "ISSUER_KEY", "SEAL_KEY", "PLATFORM_DIR")
    for variable in (*SERVERS_ISSUER, *(f"APP_WRAPPER_{name}" for name in theirs)):
        monkeypatch.setenv(variable, "/elsewhere")
    part = _planned(reserved, layout)["w1"]
    loaded = _wrapper(part)
    assert loaded.attestation is kind
    assert (loaded.policy == layout.policy) == kind.value.endswith("-dcap")
    assert (loaded.platform_dir == layout.trust) == (kind is Attestation.SOFT_DCAP)
    assert (loaded.issuer_key is None) == (kind is Attestation.SCONE_CAS)
    given = [part.environ[name] for name in SERVERS_ISSUER if name in part.environ]
    assert given == (["/elsewhere"] * 2 if kind is Attestation.SCONE_CAS else [])
    others = {name: text for name, text in part.environ.items() if name.startswith("APP_WRAPPER_")}
    assert "/elsewhere" not in others.values()


@pytest.mark.parametrize("reserved", [Approach.STANDBY], indirect=True)
def test_what_is_measured_is_what_the_wrappers_give_to_servers(
    reserved: tuple[Options, Ports], layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMARTGRID_SESSION_LENGTH", "60")
    measured = environs.servers(Attestation.SOFT_DCAP, layout)
    for name in ("w1", "w2"):
        given = _planned(reserved, layout)[name].environ
        assert {key: text for key, text in given.items() if key in measured} == measured
        assert all(key.startswith("APP_WRAPPER_") for key in given.keys() - measured.keys())
    assert measured["SMARTGRID_SESSION_LENGTH"] == "60"


def test_the_launcher_is_that_of_the_wrappers(monkeypatch: pytest.MonkeyPatch) -> None:
    kind, app = Attestation.SOFT_DCAP, application.load(smartgrid_app())
    monkeypatch.delenv("APP_WRAPPER_LAUNCHER", raising=False)
    assert environs.launcher(kind, app) is LauncherKind.FORK
    monkeypatch.setenv("APP_WRAPPER_LAUNCHER", "spawn")
    assert environs.launcher(kind, app) is LauncherKind.SPAWN
    monkeypatch.setenv("APP_WRAPPER_LAUNCHER", "rocket")
    with pytest.raises(SettingsError, match="APP_WRAPPER_LAUNCHER=rocket: expected one of spawn"):
        environs.launcher(kind, app)


def test_the_pause_before_a_restart_grows_and_is_forgotten() -> None:
    pauses = [keeper.FIRST_PAUSE]
    for _ in range(10):
        pauses.append(keeper.next_pause(pauses[-1], ran_for=0.5))
    assert pauses == sorted(pauses)
    assert pauses[-1] == keeper.LONGEST_PAUSE
    assert keeper.next_pause(pauses[-1], keeper.STEADY) == keeper.FIRST_PAUSE


def test_what_is_told_over_a_pipe_ends_with_the_outcome() -> None:
    reader, writer = os.pipe()
    tell = progress.pipe_teller(writer)
    tell("two\nlines")
    tell(progress.READY)
    tell("never heard")
    with os.fdopen(reader) as lines:
        assert list(lines) == ["two\\nlines\n", "ready\n"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.StartError("two\nlines"), 5),
        (errors.AlreadyRunningError("two\nlines"), 4),
        (trusted.TrustError("two\nlines"), 1),
        (PolicyError("two\nlines"), 1),
        (OSError("two\nlines"), 1),
    ],
)
def test_a_failure_keeps_its_text_and_its_exit_status_on_the_way(
    error: Exception, status: int
) -> None:
    reader, writer = os.pipe()
    progress.pipe_teller(writer)(progress.failed(error))
    with os.fdopen(reader) as lines, pytest.raises(errors.CommandError) as raised:
        background._follow(lines, print)
    assert (str(raised.value), raised.value.exit_status) == ("two\nlines", status)
    assert progress.failure("failed to see a fault") is None


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (59.94, "59.9 s"), (61, "1 min"), (7200, "2.0 h")]
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert overview.duration(seconds) == text
