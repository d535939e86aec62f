import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from attestation.scone import __main__ as command
from attestation.scone.cas import (
    CasClient,
    CasRefusedError,
    CasUnreachableError,
    PredecessorError,
    SessionNameError,
)
from standby import tls
from standby.identity import Role
from tests.support.cas_server import EXISTS, CasServer
from tests.support.certificates import Certificates

FIRST = 'name: "a/pool"\nversion: "0.3.12"\n'


@contextlib.asynccontextmanager
async def _cas(certificates: Certificates) -> AsyncIterator[CasServer]:
    files = certificates.part(Role.ROUTING_MANAGER, "cas")
    async with CasServer.listening(tls.server_context(files)) as server:
        yield server


def _client(certificates: Certificates, server: CasServer, name: str = "owner") -> CasClient:
    context = tls.client_context(certificates.part(Role.OPERATOR, name))
    return CasClient(server.url, context, timeout=5.0)


async def test_a_session_is_stored_and_read_back_by_its_creator(certificates: Certificates) -> None:
    async with _cas(certificates) as server:
        client = _client(certificates, server)
        stored = await client.upload(FIRST)
        assert await client.read("a/pool", stored) == FIRST
        assert stored == server.sessions["a/pool"].hash
        assert server.paths == ["/v1/sessions", f"/v1/sessions/a/pool?hash={stored}"]


async def test_a_name_that_is_taken_needs_the_hash_of_its_present_version(
    certificates: Certificates,
) -> None:
    async with _cas(certificates) as server:
        client = _client(certificates, server)
        stored = await client.upload(FIRST)
        with pytest.raises(PredecessorError, match=EXISTS):
            await client.upload(FIRST + "services: []\n")
        second = await client.upload(FIRST + f'predecessor: "{stored}"\n')
        assert second != stored
        with pytest.raises(PredecessorError, match="not the newest version"):
            await client.upload(FIRST + f'predecessor: "{stored}"\nservices: []\n')
        assert server.sessions["a/pool"].hash == second


async def test_somebody_else_can_neither_read_nor_replace_it(certificates: Certificates) -> None:
    async with _cas(certificates) as server:
        stored = await _client(certificates, server).upload(FIRST)
        other = _client(certificates, server, "other")
        with pytest.raises(CasRefusedError, match="Access denied") as refusal:
            await other.read("a/pool")
        assert (refusal.value.answer_status, refusal.value.code) == (403, "cas_refused")
        with pytest.raises(CasRefusedError, match="Access denied") as refusal:
            await other.upload(FIRST + f'predecessor: "{stored}"\n')
        assert not isinstance(refusal.value, PredecessorError)


async def test_another_version_than_the_expected_one_is_not_given(
    certificates: Certificates,
) -> None:
    async with _cas(certificates) as server:
        client = _client(certificates, server)
        await client.upload(FIRST)
        with pytest.raises(CasRefusedError, match="Session not found"):
            await client.read("a/pool", "0" * 64)


async def test_a_cas_that_is_not_the_attested_one_gets_nothing(certificates: Certificates) -> None:
    async with _cas(certificates) as server:
        files = certificates.part(Role.OPERATOR, "owner")
        strangers = tls.TlsFiles(
            certificate=files.certificate, key=files.key, authorities=certificates.users_ca
        )
        client = CasClient(server.url, tls.client_context(strangers), timeout=5.0)
        with pytest.raises(CasUnreachableError, match="CERTIFICATE_VERIFY_FAILED"):
            await client.upload(FIRST)
        assert not server.paths


async def test_without_a_client_certificate_nothing_is_stored(certificates: Certificates) -> None:
    async with _cas(certificates) as server:
        context = ssl.create_default_context(cafile=str(certificates.directory / "parts-ca.pem"))
        with pytest.raises(CasUnreachableError):
            await CasClient(server.url, context, timeout=5.0).upload(FIRST)
        assert not server.sessions


@pytest.mark.parametrize(
    "answer",
    [
        '{"hash": "' + "A" * 64 + '"}',
        "a" * 64 + "\n",
        '{"hash": "' + "a" * 64 + '", "predecessor": "' + "b" * 64 + '"}',
    ],
)
async def test_the_hash_is_found_in_the_answer(certificates: Certificates, answer: str) -> None:
    async with _cas(certificates) as server:
        server.answers.append(web.Response(text=answer))
        assert await _client(certificates, server).upload(FIRST) == "a" * 64


@pytest.mark.parametrize(
    "answer", ["", "stored", "a" * 65, "a" * 64 + " " + "b" * 64, "x" * ((1 << 20) + 1)]
)
async def test_an_answer_without_one_hash_is_no_success(
    certificates: Certificates, answer: str
) -> None:
    async with _cas(certificates) as server:
        server.answers.append(web.Response(text=answer))
        with pytest.raises(CasUnreachableError):
            await _client(certificates, server).upload(FIRST)


async def test_a_refusal_that_is_not_json_is_quoted_and_cut(certificates: Certificates) -> None:
    async with _cas(certificates) as server:
        server.answers.append(web.Response(text="no " * 1000, status=500))
        with pytest.raises(CasRefusedError, match="no no") as refusal:
            await _client(certificates, server).upload(FIRST)
        assert len(str(refusal.value)) < 600


async def test_a_redirect_is_not_followed(certificates: Certificates) -> None:
    async with _cas(certificates) as server:
        moved = web.Response(status=307, headers={"Location": "/v1/sessions"})
        server.answers.append(moved)
        with pytest.raises(CasRefusedError):
            await _client(certificates, server).upload(FIRST)
        assert server.paths == ["/v1/sessions"]


@pytest.mark.parametrize(
    "name", ["", "../x", "a/..", "a//b", "a b", "a?x=1", "a#b", "/a", "ä", "a\n"]
)
async def test_what_is_not_a_sessions_name_is_not_asked_for(
    certificates: Certificates, name: str
) -> None:
    async with _cas(certificates) as server:
        with pytest.raises(SessionNameError):
            await _client(certificates, server).read(name)
        assert not server.paths


async def test_nobody_there_is_unreachable(certificates: Certificates) -> None:
    async with _cas(certificates) as server:
        client = _client(certificates, server)
    with pytest.raises(CasUnreachableError):
        await client.read("a")


async def test_the_command_uploads_and_prints_the_hash(
    certificates: Certificates, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = certificates.part(Role.OPERATOR, "owner")
    file = tmp_path / "session.yaml"
    file.write_text(FIRST)
    async with _cas(certificates) as server:
        arguments = ["upload", str(file), "--cas", server.url]
        arguments += ["--certificate", str(files.certificate), "--key", str(files.key)]
        arguments += ["--authority", str(files.authorities)]
        assert await _in_thread(arguments) == 0
        assert capsys.readouterr().out.strip() == server.sessions["a/pool"].hash
        assert await _in_thread(arguments) == 1
        assert capsys.readouterr().err.startswith("cas_predecessor: ")


async def _in_thread(arguments: list[str]) -> int:
    return await asyncio.to_thread(command.main, arguments)
