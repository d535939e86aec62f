"""Both OpenAPI documents against the running services: requests as the documents allow them, and as they do not.

Whatever is sent, the answer has a documented status, and the documented type and shape of body for it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from requests.adapters import HTTPAdapter
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import routing_manager.app
import smartgrid_server.app
from routing_manager.settings import Settings
from standby import tls, web
from standby.identity import Role
from tests.support.certificates import Certificates
from tests.support.smartgrid import Client, new_volume, running, volumes

_EXAMPLES: Final = 25
_CHECKS: Final = [
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
_ENDLESS: Final = "/v1/events"
"""A stream: it has no whole response to look at; tests/integration/routing_manager follows it."""


@dataclass(frozen=True)
class Place:
    """Where a service is, and how it is called."""

    url: str
    session: requests.Session
    headers: dict[str, str]


class Names(HTTPAdapter):
    """Connections that ask for a name other than the address (SNI), as users do."""

    def __init__(self, name: str) -> None:
        self._name = name
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        kwargs |= {"server_hostname": self._name, "assert_hostname": self._name}
        super().init_poolmanager(*args, **kwargs)


def _session(files: tls.TlsFiles | None = None, name: str | None = None) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    if files is not None:
        session.verify = str(files.authorities)
        session.cert = (str(files.certificate), str(files.key))
    if name is not None:
        session.mount("https://", Names(name))
    return session


def _attack(document: dict[str, Any], place: Place, chosen: Callable[[str], bool]) -> int:
    """Call every operation with good and with bad data; returns how many operations there were."""
    schema = schemathesis.openapi.from_dict(document)
    schema.config.generation.update(modes=list(GenerationMode))
    operations = [each.ok() for each in schema.get_all_operations() if isinstance(each, Ok)]
    operations = [each for each in operations if chosen(each.path)]
    for operation in operations:

        @settings(
            max_examples=_EXAMPLES,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def attack(case: Any) -> None:
            response = case.call(
                base_url=place.url,
                session=place.session,
                verify=place.session.verify,
                headers=place.headers,
                timeout=20,
            )
            case.validate_response(response, checks=_CHECKS)

        attack()
    return len(operations)


@pytest.fixture
async def manager(certificates: Certificates) -> AsyncIterator[tuple[str, str]]:
    """URLs of a Routing Manager's plain and control listener."""
    files = certificates.part(Role.ROUTING_MANAGER, "routing-manager")
    application = routing_manager.app.make(
        Settings(settle=0.0, waiting_room=0.02), tls.client_context(files)
    )
    listeners = [web.Listener(), web.Listener(tls=tls.server_context(files))]
    async with web.serving(application, listeners, cancel_on_disconnect=True) as bound:
        (host, plain), (_, control) = bound
        yield f"http://{host}:{plain}", f"https://{host}:{control}"


async def test_the_routing_managers_plain_listener(manager: tuple[str, str]) -> None:
    with _session() as session:
        place = Place(manager[0], session, {})
        document = routing_manager.app.openapi()
        count = await asyncio.to_thread(_attack, document, place, lambda path: path != _ENDLESS)
    assert count >= 7


async def test_the_routing_managers_control_listener(
    manager: tuple[str, str], certificates: Certificates
) -> None:
    with _session(certificates.part(Role.WRAPPER, "w1")) as session:
        place = Place(manager[1], session, {})
        document = routing_manager.app.openapi()
        count = await asyncio.to_thread(_attack, document, place, lambda path: "wrappers" in path)
    assert count == 2


async def test_a_server_with_its_user(certificates: Certificates, tmp_path: Path) -> None:
    answers = volumes(alice=new_volume(tmp_path, "alice"))
    async with running(certificates, answers, login_tries=1_000_000) as server:
        for role in (Role.CUSTOMER, Role.METER):
            async with Client(certificates, server, role=role) as alice:
                assert (await alice.login()).status == 200
                with _session(certificates.user("alice", role), "alice") as session:
                    headers = {"Authorization": f"Bearer {alice.token}"}
                    place = Place(f"https://127.0.0.1:{server.port}", session, headers)
                    document = smartgrid_server.app.openapi()
                    count = await asyncio.to_thread(
                        _attack, document, place, lambda path: path != "/v1/logout"
                    )
                assert count >= 5
                assert (await alice.call("GET", "alarms")).status in {200, 403}
        assert server.process.returncode is None
