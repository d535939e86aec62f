"""The table of endpoints, its OpenAPI document, and how a wrapper adopts the server."""

from pathlib import Path

import msgspec

import smartgrid_server
from app_wrapper import application
from smartgrid_server import app, errors, settings
from standby.errors import PlatformError
from standby.identity import Role
from standby.ids import BootId
from standby.settings import describe, load


def test_each_role_may_call_what_is_its_own() -> None:
    paths = {
        role: {each.path.removeprefix("/v1/") for each in app.ENDPOINTS if role in each.roles}
        for role in (Role.CUSTOMER, Role.METER)
    }
    assert paths[Role.CUSTOMER] == {
        "attest",
        "login",
        "login-challenge",
        "logout",
        "write",
        "query-avg",
        "alarms",
        "alarms/{id}",
        "conflicts",
    }
    assert paths[Role.METER] == {
        "attest",
        "login",
        "login-challenge",
        "logout",
        "long-write",
    }
    assert all(each.roles for each in app.ENDPOINTS)


def test_the_document_names_every_parameter_and_error() -> None:
    document = app.openapi()
    average = document["paths"]["/v1/query-avg"]["get"]
    assert [each["name"] for each in average["parameters"]] == [
        "metric",
        "start",
        "end",
        "bucket",
        "edges",
    ]
    assert "unknown_metric" in average["responses"]["400"]["description"]
    assert (
        "unknown_alarm"
        in document["paths"]["/v1/alarms/{id}"]["put"]["responses"]["404"]["description"]
    )
    assert msgspec.json.encode(document)


def test_every_error_has_a_code_of_its_own() -> None:
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type)
        and issubclass(kind, PlatformError)
        and kind.__module__ == errors.__name__
    ]
    codes = [kind.code for kind in kinds if kind is not errors.BodyUnreadableError]
    assert len(codes) == len(set(codes))
    for kind in kinds:
        assert kind.code in str(errors.__doc__) or kind.__subclasses__()


def test_every_setting_says_what_it_means_and_can_be_given_as_text() -> None:
    docs = describe(settings.Settings, settings.PREFIX)
    assert all(doc.description for doc in docs)
    given = {doc.variable: doc.default for doc in docs if doc.default not in {"required", "none"}}
    files = dict.fromkeys(
        [
            f"SMARTGRID_{name}"
            for name in ("ISSUER_CERTIFICATE", "ISSUER_KEY", "CLIENT_AUTHORITIES")
        ],
        "/some/file",
    )
    others = {
        "SMARTGRID_LISTEN_FD": "3",
        "SMARTGRID_BOOT_ID": "00112233aabbccdd",
        "SMARTGRID_DEDICATED_UID": "alice",
    }
    loaded = load(settings.Settings, settings.PREFIX, given | files | others)
    assert loaded.listen_fd == 3
    assert loaded.dedicated_uid == "alice"
    assert loaded.session_length == 600


def test_a_wrapper_gives_the_server_its_socket_and_names() -> None:
    file = Path(smartgrid_server.__file__).with_name("app.toml")
    adopted = application.load(file)
    place = application.Place(
        app_dir=file.parent,
        host="127.0.0.1",
        port=4000,
        fd=7,
        slot_dir=Path("/slot"),
        boot_id=BootId("00112233aabbccdd"),
        uid=None,
    )
    command = application.command(adopted, place)
    assert command[1:] == ["-m", "smartgrid_server"]
    given = {
        "SMARTGRID_ISSUER_CERTIFICATE": "/issuer.pem",
        "SMARTGRID_ISSUER_KEY": "/issuer-key.pem",
        "SMARTGRID_CLIENT_AUTHORITIES": "/users.pem",
        "SMARTGRID_SESSION_LENGTH": "60",
        "APP_WRAPPER_ID": "w1",
    }
    environ = application.environment(adopted, place, given)
    assert "APP_WRAPPER_ID" not in environ
    loaded = load(settings.Settings, settings.PREFIX, environ)
    assert (loaded.listen_fd, loaded.boot_id, loaded.dedicated_uid) == (7, place.boot_id, None)
    assert loaded.session_length == 60
