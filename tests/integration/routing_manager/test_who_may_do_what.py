"""What changes something needs the right certificate, and bad input changes nothing."""

import ssl

import aiohttp
import msgspec
import pytest

from standby.identity import Role
from tests.integration.routing_manager.conftest import Running, Start
from tests.unit.routing_manager.fakes import FakeWrapper

REPORT = "/v1/wrappers/wrapper-1/report"


def _body() -> bytes:
    wrapper = FakeWrapper("wrapper-1")
    wrapper.start(0)
    return msgspec.json.encode(wrapper.full())


async def _post(
    manager: Running, path: str, body: bytes, context: ssl.SSLContext | None
) -> tuple[int, str]:
    url = manager.control_url if context else manager.url
    async with manager.session.post(url + path, data=body, ssl=context or True) as response:
        answer = await response.json()
        assert len((await manager.state()).instances) == 0
        return response.status, answer["error"]["code"]


async def test_the_plain_listener_takes_no_reports_and_no_orders(manager: Running) -> None:
    refused = (403, "client_certificate_required")
    assert await _post(manager, REPORT, _body(), None) == refused
    assert await _post(manager, "/v1/wrappers/wrapper-1/drain", b"", None) == refused


@pytest.mark.parametrize(
    ("role", "name", "code"),
    [
        (Role.WRAPPER, "wrapper-2", "wrong_wrapper"),
        (Role.OPERATOR, "wrapper-1", "wrong_role"),
        (Role.ROUTING_MANAGER, "wrapper-1", "wrong_role"),
    ],
)
async def test_a_report_needs_the_certificate_of_its_wrapper(
    manager: Running, role: Role, name: str, code: str
) -> None:
    assert await _post(manager, REPORT, _body(), manager.context(role, name)) == (403, code)


async def test_a_drain_needs_an_operators_certificate(manager: Running) -> None:
    context = manager.context(Role.WRAPPER, "wrapper-1")
    path = "/v1/wrappers/wrapper-1/drain"
    assert await _post(manager, path, b"", context) == (403, "wrong_role")
    operator = manager.context(Role.OPERATOR, "olga")
    assert await _post(manager, path, b"", operator) == (404, "unknown_wrapper")


async def test_a_certificate_of_another_authority_cannot_even_connect(manager: Running) -> None:
    files = manager.certificates.user("wrapper-1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_cert_chain(files.certificate, files.key)
    context.load_verify_locations(manager.certificates.directory / "parts-ca.pem")
    with pytest.raises(aiohttp.ClientError):
        await _post(manager, REPORT, _body(), context)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"epoch":1}',
        b"\xff\xfe",
        b'{"epoch":-1,"sequence":0,"full":true,"instances":[],"capacity":1}',
        b'{"epoch":1,"sequence":0,"full":true,"instances":{},"capacity":1}',
        b'{"epoch":1,"sequence":0,"full":true,"capacity":1}',
        _body().replace(b'"epoch":1', b'"epoch":9007199254740992'),
        _body().replace(b'"epoch":1', b'"epoch":' + b"9" * 4300),
        _body().replace(b'"sequence":0', b'"sequence":' + b"9" * 30),
        _body().replace(b'"capacity":8', b'"capacity":100001'),
        _body().replace(b'"full":true', b'"full":true,"unknown":' + b"[" * 200_000),
        _body().replace(b'"slot":0', b'"unknown":' + b'{"":' * 200_000),
    ],
)
async def test_a_malformed_report_is_refused_whole(manager: Running, body: bytes) -> None:
    context = manager.context(Role.WRAPPER, "wrapper-1")
    assert await _post(manager, REPORT, body, context) == (400, "malformed")


async def test_a_report_over_the_limit_is_refused(start: Start) -> None:
    manager = await start(body_limit=1024)
    context = manager.context(Role.WRAPPER, "wrapper-1")
    assert await _post(manager, REPORT, b" " * 2000, context) == (413, "body_too_large")


async def test_a_report_that_cannot_be_meant_is_refused_and_counted(manager: Running) -> None:
    wrapper = FakeWrapper("wrapper-1")
    await manager.report(wrapper, wrapper.full())
    body = _body().replace(b'"epoch":1', b'"epoch":9007199254740991')
    context = manager.context(Role.WRAPPER, "wrapper-1")
    assert await _post(manager, REPORT, body, context) == (400, "bad_report")
    assert 'reports_total{outcome="bad"} 1.0' in await manager.metrics()
