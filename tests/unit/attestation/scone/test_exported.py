"""What a session exports to everybody, asked of a small stand-in for a CAS."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from attestation.scone import __main__ as command
from attestation.scone.cas import CasClient, CasRefusedError, CasUnreachableError, SessionNameError
from standby import tls
from standby.identity import Role
from standby.tls import TlsFiles
from standby.web import Listener, serving
from tests.support.certificates import Certificates

_VALUE = '{"kind": "x509-ca", "value": "a certificate", "expires": null, "renew": null}'


@dataclass
class _Cas:
    answer: str = _VALUE
    status: int = 200
    url: str = ""
    asked: list[str] = field(default_factory=list)

    async def values(self, request: web.Request) -> web.Response:
        self.asked.append(request.path_qs)
        return web.Response(text=self.answer, status=self.status)


@contextlib.asynccontextmanager
async def _cas(
    certificates: Certificates, answer: str = _VALUE, status: int = 200
) -> AsyncIterator[tuple[_Cas, TlsFiles]]:
    files = certificates.part(Role.ROUTING_MANAGER, "cas")
    cas = _Cas(answer, status)
    app = web.Application()
    app.router.add_get("/v1/values/{which:.+}", cas.values)
    listener = Listener(port=0, tls=tls.server_context(files))
    async with serving(app, [listener], shutdown_timeout=0.1) as bound:
        cas.url = f"https://127.0.0.1:{bound[0][1]}"
        yield cas, certificates.part(Role.OPERATOR, "owner")


def _client(cas: _Cas, files: TlsFiles) -> CasClient:
    return CasClient(cas.url, tls.client_context(files), timeout=5.0)


async def test_a_public_value_is_asked_for_by_session_and_name(certificates: Certificates) -> None:
    async with _cas(certificates) as (cas, files):
        assert await _client(cas, files).exported("a/pool", "servers_ca") == "a certificate"
        assert cas.asked == ["/v1/values/session=a/pool,secret=servers_ca"]


@pytest.mark.parametrize(
    ("name", "secret"), [("a/..", "x"), ("a b", "x"), ("a,secret=b", "x"), ("a", "x/y"), ("a", "")]
)
async def test_what_is_no_name_is_not_asked_for(
    certificates: Certificates, name: str, secret: str
) -> None:
    async with _cas(certificates) as (cas, files):
        with pytest.raises(SessionNameError):
            await _client(cas, files).exported(name, secret)
        assert not cas.asked


@pytest.mark.parametrize("answer", ["", "a certificate", "[]", '{"value": 3}', '{"values": {}}'])
async def test_an_answer_without_a_value_is_no_success(
    certificates: Certificates, answer: str
) -> None:
    async with _cas(certificates, answer=answer) as (cas, files):
        with pytest.raises(CasUnreachableError, match="no value"):
            await _client(cas, files).exported("a", "x")


async def test_a_refusal_is_told_in_the_words_of_the_cas(certificates: Certificates) -> None:
    async with _cas(certificates, answer='{"msg": ["not exported"]}', status=403) as (cas, files):
        with pytest.raises(CasRefusedError, match="not exported"):
            await _client(cas, files).exported("a", "x")


async def test_the_command_prints_the_value(
    certificates: Certificates, capsys: pytest.CaptureFixture[str]
) -> None:
    async with _cas(certificates) as (cas, files):
        arguments = ["exported", "a/pool", "servers_ca", "--cas", cas.url]
        arguments += ["--certificate", str(files.certificate), "--key", str(files.key)]
        arguments += ["--authority", str(files.authorities)]
        assert await asyncio.to_thread(command.main, arguments) == 0
        assert capsys.readouterr().out == "a certificate\n"
