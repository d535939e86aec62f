"""The client and the real server agree: what is pushed is what is averaged, and sessions end cleanly."""

import asyncio
import itertools
import math
from pathlib import Path

import pytest

from smartgrid_client import meter
from smartgrid_client.api import SmartGridClient
from smartgrid_client.averages import averages
from smartgrid_client.batches import Batch, BatchSize, batches, densify
from smartgrid_client.connection import Address
from smartgrid_client.errors import RefusedError
from smartgrid_client.messages import Alarm, Metric
from smartgrid_client.readings import sample_readings
from smartgrid_client.schedule import Schedule
from smartgrid_client.session import Attempt, Session
from standby.identity import Role
from standby.ids import parse_uid
from tests.support import smartgrid
from tests.support.certificates import Certificates

DAY = 86_400
FIRST = 1_170_288_000


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    return smartgrid.new_volume(tmp_path, "alice")


def client(certificates: Certificates, server: smartgrid.Server, role: Role) -> SmartGridClient:
    address = Address("127.0.0.1", server.port, parse_uid("alice"))
    return SmartGridClient(address, certificates.user("alice", role))


async def test_the_averages_of_a_pushed_day_are_those_of_the_file(
    certificates: Certificates, volume: Path
) -> None:
    day = list(densify(itertools.islice(sample_readings(), 1440)))
    attempts: list[Attempt] = []
    stop = asyncio.Event()
    async with (
        smartgrid.running(certificates, smartgrid.volumes(alice=volume)) as server,
        client(certificates, server, Role.CUSTOMER) as customer,
    ):
        await customer.login(smartgrid.secret())
        device = client(certificates, server, Role.METER)
        async with Session(device, smartgrid.secret(), attempts.append, stop=stop) as session:
            now = asyncio.get_running_loop().time()
            made = batches(day, BatchSize(seconds=12 * 3600))
            await meter.push(session, made, Schedule(now, 0, 60), stop)
        for metric in Metric:
            answer = await customer.query_avg(metric, FIRST, FIRST + DAY, 3600)
            expected = averages(day, metric, FIRST, FIRST + DAY, 3600)
            assert answer.count == expected.count == 5760
            pairs = zip(answer.buckets, expected.buckets, strict=True)
            for got, wanted in pairs:
                assert (got.start, got.count) == (wanted.start, wanted.count)
                assert got.average is not None
                assert wanted.average is not None
                assert math.isclose(got.average, wanted.average, rel_tol=1e-12)
        await customer.logout()
        assert await server.ends() == 0
    assert [each.exchange.operation.value for each in attempts] == [
        "LOGIN", "LONG_WRITE", "LONG_WRITE", "LOGOUT",
    ]  # fmt: skip
    assert server.said[-1] == "LOGOUT logout"


async def test_alarms_come_back_as_they_were_written(
    certificates: Certificates, volume: Path
) -> None:
    wanted = [Alarm(Metric.POWER, 4000.5), Alarm(Metric.TENSION, 207.0)]
    async with (
        smartgrid.running(certificates, smartgrid.volumes(alice=volume)) as server,
        client(certificates, server, Role.CUSTOMER) as customer,
    ):
        await customer.login(smartgrid.secret())
        assert (await customer.write(wanted)).stored == 2
        found = await customer.alarms()
        await customer.logout()
    assert [Alarm(each.metric, each.threshold) for each in found] == wanted


async def test_what_the_servers_refuse_has_their_codes(
    certificates: Certificates, volume: Path
) -> None:
    async with (
        smartgrid.running(certificates, smartgrid.volumes(alice=volume)) as server,
        client(certificates, server, Role.CUSTOMER) as customer,
    ):
        codes = []
        for call in (
            customer.login(smartgrid.secret(smartgrid.OTHER_KEY)),
            customer.login(smartgrid.secret()),
            customer.long_write(Batch(tuple(itertools.islice(sample_readings(), 1)))),
            customer.query_avg(Metric.POWER, 10, 10),
        ):
            try:
                await call
                codes.append("ok")
            except RefusedError as error:
                codes.append(error.reason)
        await customer.logout()
    assert codes == ["wrong_key", "ok", "wrong_role", "empty_period"]
