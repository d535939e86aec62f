"""The OpenAPI document is complete, and settings have defaults that fit together."""

import json

from routing_manager.app import openapi
from routing_manager.settings import PREFIX, Settings
from standby.settings import describe, load


def test_every_endpoint_is_described_with_its_errors() -> None:
    paths = openapi()["paths"]
    assert set(paths) == {
        "/",
        "/healthz",
        "/metrics",
        "/readyz",
        "/v1/events",
        "/v1/route/{sni}",
        "/v1/state",
        "/v1/wrappers/{id}/drain",
        "/v1/wrappers/{id}/report",
    }
    route = paths["/v1/route/{sni}"]["get"]["responses"]
    assert set(route) == {"200", "400", "403", "503"}
    assert "no_capacity" in route["503"]["description"]
    report = paths["/v1/wrappers/{id}/report"]["post"]
    assert "wrapper" in report["description"]
    assert set(report["responses"]) == {"200", "400", "403", "413"}


def test_the_description_is_the_same_each_time_and_is_json() -> None:
    assert json.dumps(openapi()) == json.dumps(openapi())


def test_every_setting_has_a_meaning_and_a_default() -> None:
    assert load(Settings, PREFIX, {}) == Settings()
    for doc in describe(Settings, PREFIX):
        assert doc.description
        assert doc.default != "required"


def test_settings_are_read_from_the_environment() -> None:
    settings = load(
        Settings,
        PREFIX,
        {
            "ROUTING_MANAGER_APPROACH": "on-demand",
            "ROUTING_MANAGER_RESERVATION": "2.5",
            "ROUTING_MANAGER_TLS_KEY": "/k.pem",
        },
    )
    assert (settings.approach, settings.reservation, str(settings.tls_key)) == (
        "on-demand",
        2.5,
        "/k.pem",
    )
