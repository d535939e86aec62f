"""The handshake of a real server: who is let in, what certificate is shown, and how a refusal looks to the client."""

import asyncio
import datetime as dt
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from standby import pki
from standby.identity import Identity, Role
from standby.ids import parse_uid
from tests.support.certificates import Certificates
from tests.support.smartgrid import Client, Server, new_volume, running, volumes

REQUEST = b"GET /v1/alarms HTTP/1.1\r\nHost: alice\r\n\r\n"


async def talk(
    server: Server, context: ssl.SSLContext, name: str | None
) -> tuple[bytes, ssl.SSLObject]:
    """Handshake, one request, and what came back; a client learns of its refusal at the latest here."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", server.port, ssl=context, server_hostname=name or ""
    )
    try:
        async with asyncio.timeout(5):
            writer.write(REQUEST)
            return await reader.readline(), writer.get_extra_info("ssl_object")
    finally:
        writer.transport.abort()


def without_certificate(certificates: Certificates) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificates.servers_ca))


def with_foreign_certificate(certificates: Certificates) -> ssl.SSLContext:
    """Says it is alice, but the parts' authority has signed it."""
    return _signed(certificates, certificates.parts, pki.Usage(client=True), dt.timedelta(days=1))


def with_server_certificate(certificates: Certificates) -> ssl.SSLContext:
    return _signed(certificates, certificates.users, pki.Usage(server=True), dt.timedelta(days=1))


def with_expired_certificate(certificates: Certificates) -> ssl.SSLContext:
    return _signed(
        certificates, certificates.users, pki.Usage(client=True), dt.timedelta(seconds=-1)
    )


def _signed(
    certificates: Certificates, authority: pki.Authority, usage: pki.Usage, lifetime: dt.timedelta
) -> ssl.SSLContext:
    key = pki.new_key()
    who = Identity(Role.CUSTOMER, parse_uid("alice"))
    file = certificates.directory / "unfit.pem"
    leaf = authority.issue(key.public_key(), who, usage, lifetime)
    file.write_bytes(pki.certificate_pem(leaf) + pki.key_pem(key))
    context = without_certificate(certificates)
    context.load_cert_chain(file)
    return context


@pytest.mark.parametrize(
    ("make", "alert"),
    [
        (without_certificate, "CERTIFICATE_REQUIRED"),
        (with_foreign_certificate, "UNKNOWN_CA"),
        (with_server_certificate, "CERTIFICATE"),
        (with_expired_certificate, "CERTIFICATE_EXPIRED"),
    ],
)
@pytest.mark.parametrize("bound", [False, True])
async def test_a_client_without_a_users_certificate_is_refused_with_an_alert(
    certificates: Certificates,
    tmp_path: Path,
    make: Callable[[Certificates], ssl.SSLContext],
    alert: str,
    *,
    bound: bool,
) -> None:
    async with (
        running(certificates, volumes(alice=new_volume(tmp_path, "alice"))) as server,
        Client(certificates, server) as alice,
    ):
        if bound:
            await alice.login()
        with pytest.raises(ssl.SSLError, match=alert):
            await talk(server, make(certificates), "alice")
        assert (await alice.login()).status == 200


async def test_a_name_that_no_user_can_have_is_refused_with_an_alert(
    certificates: Certificates,
) -> None:
    context = certificates.user_context("alice")
    context.check_hostname = False
    async with running(certificates, {}) as server:
        for name in (None, "alice.example", "ali_ce", "alice-"):
            with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
                await talk(server, context, name)
        line, _ = await talk(server, context, "alice")
        assert line.startswith(b"HTTP/1.1 401 ")


async def test_an_older_tls_is_refused(certificates: Certificates) -> None:
    context = certificates.user_context("alice")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with running(certificates, {}) as server:
        with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
            await talk(server, context, "alice")


@pytest.mark.parametrize("uid", ["alice", "bob"])
async def test_the_certificate_is_made_for_the_name_and_nothing_is_resumed(
    certificates: Certificates, uid: str
) -> None:
    async with running(certificates, {}) as server:
        _, connection = await talk(server, certificates.user_context(uid), uid)
        shown = x509.load_der_x509_certificate(connection.getpeercert(binary_form=True) or b"")
        (name,) = shown.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        assert name.value == uid
        assert shown.not_valid_after_utc - dt.datetime.now(dt.UTC) <= dt.timedelta(minutes=30)
        assert connection.version() == "TLSv1.3"
        assert connection.session is None or not connection.session.has_ticket


async def test_upper_case_names_the_same_user(certificates: Certificates) -> None:
    context = certificates.user_context("alice")
    async with running(certificates, {}) as server:
        line, _ = await talk(server, context, "ALICE")
        assert line.startswith(b"HTTP/1.1 401 ")


async def test_plain_http_is_not_answered_and_does_no_harm(certificates: Certificates) -> None:
    async with running(certificates, {}) as server, Client(certificates, server) as alice:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(REQUEST)
        async with asyncio.timeout(5):
            answer = await reader.read(100)
        writer.close()
        assert not answer.startswith(b"HTTP")
        assert (await alice.get("alarms", token="x")).code == "unknown_token"
