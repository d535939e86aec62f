"""What a client reaches of a server before LOGIN: nothing if it is another user's, little if it is the user's."""

import asyncio
import datetime as dt
import json
from pathlib import Path
from typing import Final

import pytest

from attestation.issuing.issuer import Unattested, authority_name
from attestation.issuing.messages import Bind, LastSeen, LoginProof, Refused, Request
from smartgrid_server.connections import MOST_REQUESTS
from smartgrid_server.door import MOST_BYTES
from standby import pki
from standby.ids import Uid
from tests.integration.smartgrid_server.test_attesting import launched
from tests.support.attesting import Fault, Instead, WrapperEnd
from tests.support.certificates import Certificates
from tests.support.smartgrid import KEY, Client, Server, new_volume, running, volumes

GARBAGE: Final = b"this is not HTTP\r\n\r\n"
PATIENCE: Final = 20.0
"""Seconds for an answer."""


async def _said(
    server: Server, certificates: Certificates, sent: bytes, *, uid: str, asks_for: str = "alice"
) -> bytes:
    """All that the server answers before it closes the connection."""
    context = certificates.user_context(uid)
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", server.port, ssl=context, server_hostname=asks_for
    )
    try:
        writer.write(sent)
        async with asyncio.timeout(PATIENCE):
            return await reader.read()
    finally:
        writer.transport.abort()


@pytest.mark.parametrize("bound", [False, True])
async def test_not_a_byte_of_another_users_client_is_read(
    certificates: Certificates, tmp_path: Path, *, bound: bool
) -> None:
    """Mallory's certificate is good, and the load balancer brings them to the server of the name that they ask for."""
    async with (
        running(certificates, volumes(alice=new_volume(tmp_path, "alice"))) as server,
        Client(certificates, server) as alice,
    ):
        if bound:
            await alice.login()
        answer = await _said(server, certificates, GARBAGE, uid="mallory")
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 403 Forbidden\r\n"), "it was taken for broken HTTP"
        assert json.loads(body)["error"]["code"] == "wrong_user"
        hers = await _said(server, certificates, GARBAGE, uid="alice")
        assert hers.split(b" ")[1] == b"400", "broken HTTP"
        assert (await alice.login()).status == 200


async def test_the_wrapper_knows_whose_requests_are_read_before_one_is(
    certificates: Certificates, tmp_path: Path
) -> None:
    """A wrapper that does not take it in: the server reads nothing, and ends."""
    wrapper = _wrapper(certificates, {Bind: Fault.SILENCE})
    answers = volumes(alice=new_volume(tmp_path, "alice"))
    async with launched(certificates, wrapper, answers) as server:
        await server.says("WAITING_LOGIN")
        answer = await _said(server, certificates, GARBAGE, uid="alice")
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"login_proof_unavailable" in answer
        assert await server.ends() == 0
    assert wrapper.asked[-1] == Bind(Uid("alice"))
    assert [each for each in server.said if each.startswith("LOGIN")] == []


async def test_login_is_said_when_the_wrapper_has_accepted_the_proof_and_not_before(
    certificates: Certificates, tmp_path: Path
) -> None:
    wrapper = _wrapper(certificates, {LoginProof: Refused("login_proof_refused", "not yours")})
    answers = volumes(alice=new_volume(tmp_path, "alice"))
    async with (
        launched(certificates, wrapper, answers) as server,
        Client(certificates, server) as alice,
    ):
        await server.says("WAITING_LOGIN")
        refusal = await alice.login()
        assert (refusal.status, refusal.code) == (403, "login_proof_refused")
        assert "not yours" in refusal.body["error"]["message"]
        assert server.said == ["WAITING_LOGIN"]
        del wrapper.instead[LoginProof]
        assert (await alice.login()).status == 200
        assert server.said == ["WAITING_LOGIN", "LOGIN alice"]
        kinds = wrapper.kinds()
        assert kinds.index(Bind) < kinds.index(LoginProof) < kinds.index(LastSeen)


async def test_a_login_without_proof_or_for_another_process_is_refused_without_the_wrapper(
    certificates: Certificates, tmp_path: Path
) -> None:
    wrapper = _wrapper(certificates)
    answers = volumes(alice=new_volume(tmp_path, "alice"))
    async with (
        launched(certificates, wrapper, answers) as server,
        Client(certificates, server) as alice,
    ):
        await server.says("WAITING_LOGIN")
        assert (await alice.post("login", {"key": KEY})).code == "login_proof_required"
        other = {"nonce": "ab" * 32, "signature": "AAAA"}
        refusal = await alice.post("login", {"key": KEY, "proof": other})
        assert (refusal.status, refusal.code) == (409, "stale_challenge")
        assert LoginProof not in wrapper.kinds()
        assert (await alice.login()).status == 200


async def test_who_joins_a_session_needs_no_proof(
    certificates: Certificates, tmp_path: Path
) -> None:
    """The volume is claimed already; certificate and key are asked for as ever."""
    wrapper = _wrapper(certificates)
    answers = volumes(alice=new_volume(tmp_path, "alice"))
    async with (
        launched(certificates, wrapper, answers) as server,
        Client(certificates, server) as alice,
        Client(certificates, server) as again,
    ):
        await server.says("WAITING_LOGIN")
        await alice.login()
        assert (await again.get("login-challenge")).body["nonce"] is None
        assert (await again.post("login", {"key": KEY})).status == 200
        assert (await again.post("login", {"key": "f" * 64})).code == "wrong_key"
    assert wrapper.kinds().count(LoginProof) == 1


# --- sizes and counts


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("attest", {"challenge": "A" * 2000}, "body_too_large"),
        ("login", {"key": "f" * 5000}, "body_too_large"),
    ],
)
async def test_a_body_before_login_is_small(
    certificates: Certificates, path: str, body: object, code: str
) -> None:
    async with running(certificates, {}) as server, Client(certificates, server) as alice:
        assert (await alice.post(path, body)).code == code


async def test_a_body_of_unknown_length_is_not_read(certificates: Certificates) -> None:
    chunked = (
        b"POST /v1/login HTTP/1.1\r\nHost: alice\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\nabcde\r\n"
    )
    async with running(certificates, {}) as server:
        answer = await _said(server, certificates, chunked, uid="alice")
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"Content-Length" in answer


async def test_requests_before_login_are_counted(certificates: Certificates) -> None:
    async with running(certificates, {}) as server, Client(certificates, server) as alice:
        for _ in range(MOST_REQUESTS):
            assert (await alice.get("login-challenge")).status == 200
        refusal = await alice.get("login-challenge")
        assert (refusal.status, refusal.code) == (429, "too_many_requests")
        assert (await alice.get("login-challenge")).status == 200  # on another connection


@pytest.mark.parametrize(
    "head",
    [
        b"GET /v1/" + b"a" * 3000 + b" HTTP/1.1\r\nHost: alice\r\n\r\n",
        b"GET /v1/login-challenge HTTP/1.1\r\nHost: alice\r\nX: " + b"a" * 3000 + b"\r\n\r\n",
        b"GET /v1/login-challenge HTTP/1.1\r\nHost: alice\r\n" + b"X: y\r\n" * 100 + b"\r\n",
    ],
    ids=["line", "header", "headers"],
)
async def test_a_head_is_small(certificates: Certificates, head: bytes) -> None:
    async with running(certificates, {}) as server:
        answer = await _said(server, certificates, head, uid="alice")
        assert answer.split(b" ")[1] in {b"400", b"431"}, answer[:100]


async def test_a_client_whose_server_was_lost_learns_that_although_its_body_is_long(
    certificates: Certificates,
) -> None:
    """It has a token of its last server, and sends a batch: the body is not read, and the answer still arrives."""
    body = json.dumps({"rows": [[n, 1.0, 2.0, 3.0] for n in range(20_000)]})
    assert len(body) > 10 * MOST_BYTES
    async with running(certificates, {}) as server, Client(certificates, server) as alice:
        for path in ("long-write", "no-such-endpoint"):
            reply = await alice.post(path, raw=body.encode(), token="7.of-another-life")
            assert (reply.status, reply.code) == (401, "stale_token")


def _wrapper(
    certificates: Certificates, instead: dict[type[Request], Instead] | None = None
) -> WrapperEnd:
    """One that attests nothing."""
    authority = certificates.servers.intermediate(
        authority_name(None), dt.timedelta(days=1), pki.Usage(server=True), path_length=1
    )
    return WrapperEnd(Unattested(authority), instead=instead or {})
