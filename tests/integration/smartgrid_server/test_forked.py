"""Servers of the example application that were forked: one program, but nothing of one is another's."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from app_wrapper.settings import LauncherKind
from smartgrid_client.api import SmartGridClient
from smartgrid_client.batches import Batch
from smartgrid_client.connection import Address
from smartgrid_client.credentials import Credentials
from smartgrid_client.messages import Metric
from smartgrid_client.readings import Reading
from standby.identity import Role
from standby.ids import Uid
from standby.messages import InstanceView
from standby.states import State
from tests.support.certificates import Certificates
from tests.support.smartgrid import ROOT, provision, secret
from tests.support.waiting import eventually
from tests.support.wrapper import settings
from tests.support.wrapper_process import WrapperProcess, started

_UIDS = ("anna", "bert")


@pytest.fixture
async def wrapper(
    tmp_path: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[WrapperProcess]:
    provision(tmp_path, certificates, _UIDS, monkeypatch)
    app = ROOT / "smartgrid_server" / "app.toml"
    chosen = settings(tmp_path, app=app, launcher=LauncherKind.FORK, pool_size=2)
    async with started(chosen) as process:
        yield process


@contextlib.asynccontextmanager
async def _client(
    server: InstanceView, certificates: Certificates, uid: str, role: Role
) -> AsyncIterator[SmartGridClient]:
    address = Address("127.0.0.1", server.port, Uid(uid))
    async with SmartGridClient(address, certificates.user(uid, role)) as client:
        await client.login(secret())
        yield client


async def test_two_users_are_served_side_by_side_and_their_servers_replaced(
    wrapper: WrapperProcess, certificates: Certificates
) -> None:
    servers = await wrapper.ready(2)
    batch = Batch(tuple(Reading(1_600_000_000 + n, 1.0 + n, 0.5, 231.0) for n in range(3)))
    async with (
        _client(servers[0], certificates, "anna", Role.METER) as anna,
        _client(servers[1], certificates, "bert", Role.CUSTOMER) as bert,
    ):
        await anna.long_write(batch)
        assert (await bert.query_avg(Metric.POWER)).count == 0
        await bert.logout()
        await anna.logout()
    fresh = await wrapper.ready(2)
    assert not {each.boot_id for each in fresh} & {each.boot_id for each in servers}
    async with _client(fresh[0], certificates, "anna", Role.CUSTOMER) as anna:
        assert (await anna.query_avg(Metric.POWER)).average == 2.0


async def test_every_server_makes_a_key_of_its_own(
    wrapper: WrapperProcess, certificates: Certificates
) -> None:
    shown = [await _key(each, certificates) for each in await wrapper.ready(2)]
    assert len(set(shown)) == 2


async def test_a_change_of_the_clients_authorities_reaches_the_next_server(
    wrapper: WrapperProcess, certificates: Certificates, tmp_path: Path
) -> None:
    """The template has read the file long ago."""
    others = Certificates.create(_made(tmp_path / "others"))
    (server, _) = await wrapper.ready(2)
    before = certificates.users_ca.read_text()
    certificates.users_ca.write_text(before + others.users_ca.read_text())
    try:
        async with _client(server, certificates, "anna", Role.METER) as anna:
            await anna.logout()
        await eventually(lambda: _replaced(wrapper, server), "a fresh server")
        fresh = next(each for each in await wrapper.ready(2) if each.slot == server.slot)
        bert_by_others = Credentials.load(others.user("bert"))
        bert_by_others.context.load_verify_locations(certificates.servers_ca)
        address = Address("127.0.0.1", fresh.port, Uid("bert"))
        async with SmartGridClient(address, bert_by_others) as bert:
            await bert.login(secret())
    finally:
        certificates.users_ca.write_text(before)


async def _replaced(wrapper: WrapperProcess, server: InstanceView) -> bool:
    found = (await wrapper.state()).instances
    return all(each.boot_id != server.boot_id for each in found) and all(
        each.state is State.READY for each in found
    )


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


async def _key(server: InstanceView, certificates: Certificates) -> bytes:
    """The public key that it shows."""
    context = certificates.user_context("anna")
    _, writer = await asyncio.open_connection(
        "127.0.0.1", server.port, ssl=context, server_hostname="anna"
    )
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    key = x509.load_der_x509_certificate(shown).public_key()
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
