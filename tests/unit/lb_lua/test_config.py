"""The configuration as text: what must hold in it whatever the settings are."""

import re
from pathlib import Path

import pytest

from lb_lua.config import quoted, render
from lb_lua.settings import Settings
from standby import deadlines
from standby.settings import SettingsError

BASE = {"port": 8443, "runtime_dir": Path("/run/lb")}


def settings(**changes: object) -> Settings:
    return Settings(**(BASE | {"routing_manager_port": 7000} | changes))  # type: ignore[arg-type]  # by name


def milliseconds(config: str, name: str) -> set[int]:
    return {int(found) for found in re.findall(rf"^ +{name} (\d+)ms$", config, re.MULTILINE)}


@pytest.mark.parametrize("length", [1.0, 600.0, 86_400.0])
def test_no_timeout_on_a_user_s_way_is_shorter_than_a_session(length: float) -> None:
    config = render(settings(session_length=length))
    for name in ("timeout client", "timeout server", "timeout tunnel"):
        (value,) = milliseconds(config, name)
        assert value >= (length + deadlines.CLIENT_REQUEST) * 1000


@pytest.mark.parametrize("query", [0.5, deadlines.ROUTE_QUERY, 100.0])
def test_haproxy_waits_longer_for_the_hook_than_the_hook_for_its_answer(query: float) -> None:
    config = render(settings(route_query=query))
    waits = milliseconds(config, "tcp-request inspect-delay")
    assert max(waits) > query * 1000
    assert round(deadlines.CLIENT_HELLO * 1000) in waits


def test_a_connection_that_is_quiet_for_longer_than_a_keepalive_is_probed() -> None:
    config = render(settings())
    assert milliseconds(config, "clitcpka-idle") == {round(deadlines.QUIET_PROBE * 1000)}


def test_no_server_is_listed_and_the_static_map_replaces_the_hook() -> None:
    routed = render(settings())
    static = render(settings(static_map=Path("/etc/users.map"), routing_manager_port=None))
    assert "lua.route" in routed
    assert "users.map" not in routed
    assert "lua.route" not in static
    assert 'map_str("/etc/users.map")' in static
    for config in (routed, static):
        servers = re.findall(r"^ +server \S+ (\S+)", config, re.MULTILINE)
        assert set(servers) <= {
            "0.0.0.0:0",
            "unix@now.sock",
            "unix@again.sock",
            "unix@gone.sock",
        }


def test_nobody_is_connected_before_the_last_check_for_a_destination() -> None:
    for config in (render(settings()), render(settings(static_map=Path("/m")))):
        rules = re.findall(r"^ +tcp-request content (.+)$", config, re.MULTILINE)
        checked = next(n for n, rule in enumerate(rules) if "str(no_route)" in rule)
        after = [rule.split()[0] for rule in rules[checked + 1 :]]
        assert "lua.refuse" in rules[checked + 1 + after.index("use-service")]
        assert after.index("use-service") < after.index("set-dst")


def test_metrics_are_served_only_when_a_port_is_set() -> None:
    assert "prometheus" not in render(settings())
    assert "bind '[::1]:9101'" in render(settings(metrics_host="::1", metrics_port=9101))


def test_a_routing_manager_or_a_static_map_is_needed() -> None:
    with pytest.raises(SettingsError, match="LB_LUA_STATIC_MAP"):
        render(settings(routing_manager_port=None))


def test_every_name_in_the_templates_is_filled_in() -> None:
    config = render(settings(metrics_port=9101)) + render(settings(static_map=Path("/m")))
    assert not re.search(r"\$[a-z{]", config)


def test_a_quote_cannot_leave_its_word() -> None:
    assert quoted("a'b") == r"'a'\''b'"
    assert quoted("a b") == "'a b'"


def test_a_socket_of_the_routing_manager_is_named_from_where_haproxy_runs() -> None:
    near = render(settings(routing_manager_port=None, routing_manager_socket=Path("/run/rm.sock")))
    assert "setenv LB_ROUTING_MANAGER 'unix@../rm.sock'" in near
    far = Path("/", *("x" * 30 for _ in range(4)), "rm.sock")
    with pytest.raises(SettingsError, match="put the socket nearer to /run/lb"):
        render(settings(routing_manager_socket=far))
