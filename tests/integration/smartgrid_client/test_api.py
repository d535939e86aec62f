"""The library against real TLS: what works, and which error says what."""

import asyncio
import datetime as dt
import socket
import ssl
from pathlib import Path

import pytest
from msgspec import structs

from smartgrid_client import errors, requests
from smartgrid_client.api import SmartGridClient
from smartgrid_client.batches import Batch
from smartgrid_client.connection import Address
from smartgrid_client.messages import Alarm, Metric
from smartgrid_client.readings import Reading
from smartgrid_client.session import Session
from standby import pki
from standby.identity import Identity, Role
from standby.ids import parse_uid
from standby.secret import Secret
from standby.tls import TlsFiles
from tests.integration.smartgrid_client.conftest import UID, Place
from tests.support.certificates import Certificates
from tests.support.smartgrid_stub import Door, Fault, running_stub, server_context

BATCH = Batch((Reading(900, 100.0, 2.0, 230.0), Reading(915, 300.0, 4.0, 232.0)))


async def test_a_whole_session_runs_over_one_connection(place: Place) -> None:
    async with place.client() as client:
        login = await client.login(place.key)
        assert (await client.long_write(BATCH)).stored == 2
        assert (await client.write([Alarm(Metric.POWER, 4000.0)])).stored == 1
        averages = await client.query_avg(Metric.POWER, bucket=900)
        await client.logout()
    assert login.generation == 1
    assert (averages.count, averages.average) == (2, 200.0)
    assert [(each.start, each.count) for each in averages.buckets] == [(900, 2)]
    assert place.gate.count == 1
    assert place.stub.tokens == set()


async def test_a_batch_sent_twice_is_known(place: Place) -> None:
    async with place.client() as client:
        await client.login(place.key)
        first, second = await client.long_write(BATCH), await client.long_write(BATCH)
    assert (first.stored, first.known) == (2, False)
    assert (second.stored, second.unchanged, second.known) == (0, 2, True)


async def test_alarms_are_changed_and_deleted(place: Place) -> None:
    async with place.client() as client:
        await client.login(place.key)
        await client.write([Alarm(Metric.POWER, 1.0), Alarm(Metric.POWER, 2.0)])
        changed = await client.change_alarm(2, Alarm(Metric.TENSION, 250.0))
        assert (changed.id, changed.metric, changed.threshold) == (2, Metric.TENSION, 250.0)
        assert [await client.delete_alarm(1), await client.delete_alarm(1)] == [True, False]
        assert await client.alarms() == [changed]
        with pytest.raises(errors.RefusedError, match="unknown_alarm"):
            await client.change_alarm(1, Alarm(Metric.POWER, 1.0))


async def test_alarms_are_read_page_after_page(place: Place) -> None:
    wanted = [Alarm(Metric.TENSION, float(number)) for number in range(5)]
    async with place.client() as client:
        await client.login(place.key)
        await client.write(wanted)
        found = await client.alarms()
    assert [Alarm(each.metric, each.threshold) for each in found] == wanted


async def test_only_the_first_exchange_pays_for_the_connection(place: Place) -> None:
    async with place.client() as client:
        first = await client.exchange(requests.login(place.key))
        second = await client.exchange(requests.alarms())
    assert 0 < first.connect < first.latency
    assert second.connect == 0
    assert second.latency > 0


async def test_logging_out_of_a_session_that_is_over_is_fine(place: Place) -> None:
    async with place.client() as client:
        await client.login(place.key)
        place.stub.tokens.clear()
        await client.logout()
        assert not client.logged_in


async def test_a_wrong_key_is_refused_for_good(place: Place) -> None:
    async with place.client() as client:
        with pytest.raises(errors.RefusedError) as caught:
            await client.login(Secret(bytes(32)))
    assert caught.value.reason == "wrong_key"
    assert not caught.value.retry
    assert "id 0123456789ab" in str(caught.value)


async def test_a_request_without_a_session_says_so(place: Place) -> None:
    async with place.client() as client:
        with pytest.raises(errors.SessionOverError):
            await client.query_avg(Metric.POWER)


@pytest.mark.parametrize(
    ("fault", "kind", "maybe_done"),
    [
        (Fault.CUT_BEFORE, errors.UnansweredError, True),
        (Fault.CUT_AFTER, errors.UnansweredError, True),
        (Fault.UNAVAILABLE, errors.ServerFailedError, True),
        (Fault.TAKEN, errors.NotNowError, False),
        (Fault.EXPIRED, errors.SessionOverError, False),
        (Fault.NONSENSE, errors.UnexpectedAnswerError, True),
    ],
)
async def test_each_way_to_fail_has_its_error(
    place: Place, fault: Fault, kind: type[errors.ClientError], maybe_done: bool
) -> None:
    place.stub.next_time("write", fault)
    async with place.client() as client:
        await client.login(place.key)
        with pytest.raises(kind) as caught:
            await client.write([Alarm(Metric.POWER, 1.0)])
    assert caught.value.maybe_done is maybe_done


async def test_a_silent_server_is_given_up_after_the_deadline(place: Place) -> None:
    place.stub.next_time("alarms", Fault.SILENCE)
    async with place.client(request_timeout=0.3) as client:
        await client.login(place.key)
        with pytest.raises(errors.UnansweredError, match="no answer in time"):
            await client.alarms()


@pytest.mark.parametrize("door", [Door.ALERT, Door.SHUT, Door.RESET])
async def test_a_refusal_in_the_handshake_means_busy(place: Place, door: Door) -> None:
    place.gate.next_time(door)
    async with place.client() as client:
        with pytest.raises(errors.BusyError) as caught:
            await client.login(place.key)
    assert caught.value.retry
    assert not caught.value.maybe_done


async def test_an_unknown_name_is_refused_for_good(place: Place) -> None:
    place.gate.next_time(Door.NAME_ALERT)
    async with place.client() as client:
        with pytest.raises(errors.CertificateRefusedError, match="unrecognized name"):
            await client.login(place.key)


async def test_a_mute_load_balancer_is_given_up_after_the_deadline(place: Place) -> None:
    place.gate.next_time(Door.MUTE)
    async with place.client(connect_timeout=0.3) as client:
        with pytest.raises(errors.UnreachableError, match="in time"):
            await client.login(place.key)


async def test_nobody_listening_is_unreachable(place: Place) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place.port = free.getsockname()[1]
        async with place.client() as client:
            with pytest.raises(errors.UnreachableError) as caught:
                await client.login(place.key)
    assert caught.value.retry


async def test_a_server_for_somebody_else_is_not_trusted(place: Place) -> None:
    async with place.client(uid="customer-0002") as client:
        with pytest.raises(errors.ServerNotTrustedError, match="is for another name"):
            await client.login(place.key)


@pytest.mark.parametrize(
    ("lifetime", "trusted", "kind", "said"),
    [
        (-dt.timedelta(minutes=1), True, errors.ServerNotValidNowError, "is not valid any more"),
        (dt.timedelta(days=1), False, errors.ServerNotTrustedError, "pass the ca.pem"),
    ],
)
async def test_a_server_whose_time_is_over_is_told_from_one_of_another_authority(
    place: Place,
    tmp_path: Path,
    lifetime: dt.timedelta,
    trusted: bool,
    kind: type[errors.ClientError],
    said: str,
) -> None:
    root, key = pki.Authority.create("another root", lifetime), pki.new_key()
    identity, usage = Identity(Role.SERVER, parse_uid(UID)), pki.Usage(server=True)
    leaf = root.issue(key.public_key(), identity, usage, lifetime, hosts=[UID])
    file, root_file = tmp_path / "server.pem", tmp_path / "root.pem"
    file.write_bytes(pki.certificate_pem(leaf) + pki.key_pem(key))
    root_file.write_bytes(pki.certificate_pem(root.certificate))
    if trusted:
        place.tls = structs.replace(place.tls, authorities=root_file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    async with running_stub(place.stub, context) as (_, place.port), place.client() as client:
        with pytest.raises(errors.ServerNotTrustedError, match=said) as refused:
            await client.login(place.key)
    assert type(refused.value) is kind
    assert not refused.value.retry


async def test_a_host_that_does_not_exist_ends_a_session_at_once(place: Place) -> None:
    address = Address("no-host.invalid", 443, parse_uid(UID))
    client = SmartGridClient(address, place.tls)
    session = Session(client, place.key, place.attempts.append, stop=place.stop)
    with pytest.raises(errors.UnknownHostError, match="check --server"):
        await session.open()
    await session.close()
    assert place.codes == [("LOGIN", "unknown_host")]


@pytest.fixture
def wrong_certificate(place: Place, certificates: Certificates) -> None:
    part = certificates.part(Role.OPERATOR, UID)
    place.tls = TlsFiles(
        certificate=part.certificate, key=part.key, authorities=certificates.servers_ca
    )


@pytest.mark.usefixtures("wrong_certificate")
async def test_a_certificate_of_another_authority_carries_nothing_out(place: Place) -> None:
    async with place.client() as client:
        with pytest.raises(errors.UnansweredError, match="does not accept the certificate"):
            await client.login(place.key)
    assert place.stub.requests == []


@pytest.mark.usefixtures("wrong_certificate")
async def test_an_alert_about_the_certificate_is_understood(
    place: Place, certificates: Certificates, tmp_path: Path
) -> None:
    context = server_context(certificates, UID, tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        place.port = listener.getsockname()[1]
        refusing = asyncio.create_task(asyncio.to_thread(_refuse_loudly, listener, context))
        async with place.client() as client:
            with pytest.raises(errors.CertificateRefusedError, match="unknown ca"):
                await client.login(place.key)
        await refusing


def _refuse_loudly(listener: socket.socket, context: ssl.SSLContext) -> None:
    """OpenSSL's own way, with an alert; asyncio's servers close without one."""
    connection, _ = listener.accept()
    with connection, connection.dup() as kept:
        with pytest.raises(ssl.SSLError):
            context.wrap_socket(connection, server_side=True)
        kept.shutdown(socket.SHUT_WR)
        while kept.recv(1 << 16):
            pass  # closing with data unread would take the alert back


async def test_a_plain_http_port_is_told_apart(place: Place) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    place.port = server.sockets[0].getsockname()[1]
    async with server, place.client() as client:
        with pytest.raises(errors.ServerNotTrustedError, match="no TLS"):
            await client.login(place.key)
