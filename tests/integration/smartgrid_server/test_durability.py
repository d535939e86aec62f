"""What was acknowledged is on disk, and what was not is either whole or absent."""

import asyncio
from pathlib import Path

import aiohttp

from standby.identity import Role
from tests.support.certificates import Certificates
from tests.support.smartgrid import Client, Reply, kept, new_volume, running, stored, volumes

ROWS = [[second, 1.0, 2.0, 3.0] for second in range(2880)]


async def test_what_was_acknowledged_survives_kill_9(
    certificates: Certificates, tmp_path: Path
) -> None:
    volume = new_volume(tmp_path, "alice")
    async with (
        running(certificates, volumes(alice=volume)) as server,
        Client(certificates, server, role=Role.METER) as meter,
        Client(certificates, server) as customer,
    ):
        await asyncio.gather(meter.login(), customer.login())
        reply = await meter.post("long-write", {"rows": ROWS})
        assert reply.body == kept(stored=2880)
        await customer.post("write", {"alarms": [{"metric": "power", "threshold": 9.5}]})
        server.process.kill()
        await server.ends()
    assert [row[1:] for row in stored(volume, "metrics")] == [tuple(row) for row in ROWS]
    assert stored(volume, "alarms") == [(1, "power", 9.5)]


async def test_a_batch_cut_off_by_kill_9_is_stored_once_by_the_next_server(
    certificates: Certificates, tmp_path: Path
) -> None:
    volume = new_volume(tmp_path, "alice")
    batch = {"rows": ROWS}
    async with (
        running(certificates, volumes(alice=volume)) as server,
        Client(certificates, server, role=Role.METER) as meter,
    ):
        await meter.login()
        writing = asyncio.create_task(meter.post("long-write", batch))
        await asyncio.sleep(0)  # it is on its way; when exactly the server dies does not matter
        server.process.kill()
        (outcome,) = await asyncio.gather(writing, return_exceptions=True)
        assert isinstance(outcome, aiohttp.ClientError | Reply)
    async with (
        running(certificates, volumes(alice=volume)) as server,
        Client(certificates, server, role=Role.METER) as meter,
    ):
        await meter.login()
        assert (await meter.post("long-write", batch)).status == 200
        await meter.logout()
        assert await server.ends() == 0
    assert len(stored(volume, "metrics")) == len(ROWS)


async def test_a_retried_batch_changes_nothing_at_the_next_server(
    certificates: Certificates, tmp_path: Path
) -> None:
    volume = new_volume(tmp_path, "alice")
    replies = []
    for _ in range(2):
        async with (
            running(certificates, volumes(alice=volume)) as server,
            Client(certificates, server, role=Role.METER) as meter,
        ):
            await meter.login()
            reply = await meter.post("long-write", {"rows": ROWS})
            replies.append(reply.body)
            await meter.logout()
            assert await server.ends() == 0
    assert replies == [kept(stored=2880), kept(unchanged=2880)]
    assert len(stored(volume, "metrics")) == 2880
