"""The load generator by itself, against a server that misbehaves when told to: what it records of each request."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from bench.experiment import job, rows
from bench.experiment.job import Client, Credentials, Generated, Job, Planned, Session
from bench.experiment.rows import NOT_SENT, Row
from smartgrid_client.requests import Operation
from standby.processes import reserve_port
from tests.support.certificates import Certificates
from tests.support.smartgrid_stub import (
    KEY_HEX,
    Fault,
    SmartGridStub,
    running_stub,
    server_context,
)

UID = "anna"
CUSTOMER = [
    Planned(0.0, Operation.LOGIN),
    Planned(0.3, Operation.QUERY_AVG),
    Planned(0.4, Operation.WRITE),
    Planned(0.5, Operation.LOGOUT),
]
METER = [
    Planned(0.0, Operation.LOGIN),
    Planned(None, Operation.LONG_WRITE),
    Planned(None, Operation.LOGOUT),
]
TIMEOUT = 1.0


@pytest.fixture
async def served(
    tmp_path: Path, certificates: Certificates
) -> AsyncIterator[tuple[SmartGridStub, int]]:
    stub = SmartGridStub()
    async with running_stub(stub, server_context(certificates, UID, tmp_path)) as (_, port):
        yield stub, port


async def _driven(
    tmp_path: Path, certificates: Certificates, port: int, planned: list[Planned]
) -> tuple[list[Row], Generated]:
    key_file = tmp_path / "db.key"
    key_file.write_text(KEY_HEX)
    client = Client.METER if planned is METER else Client.CUSTOMER
    told = Job(
        host="127.0.0.1",
        port=port,
        users={UID: Credentials(tls=certificates.user(UID), key_file=key_file)},
        sessions=[Session(number=0, lane=0, uid=UID, client=client, requests=planned)],
        hours=1,
        warm_up=0.2,
        timeout=TIMEOUT,
        requests_file=tmp_path / "requests.csv",
        seed=1,
    )
    job.write(tmp_path / "job.json", told)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.experiment.load",
        str(tmp_path / "job.json"),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0
    generated = msgspec.json.decode(said, type=Generated)
    return rows.read(told.requests_file), generated


async def test_a_session_is_recorded_request_by_request(
    tmp_path: Path, certificates: Certificates, served: tuple[SmartGridStub, int]
) -> None:
    stub, port = served
    taken, generated = await _driven(tmp_path, certificates, port, CUSTOMER)
    assert stub.requests == ["login", "query-avg", "write", "logout"]
    assert [row.operation for row in taken] == [each.operation for each in CUSTOMER]
    assert [row.intended_s for row in taken] == [each.at for each in CUSTOMER]
    assert [row.warm_up for row in taken] == [1, 0, 0, 0]
    assert {row.status for row in taken} == {200}
    assert {row.error for row in taken} == {""}
    assert taken[0].connect_ms > 0
    assert [row.connect_ms for row in taken[1:]] == [0, 0, 0], "one connection"
    assert all(0 <= row.lag_ms <= row.latency_ms for row in taken)
    assert (generated.requests, generated.failed) == (4, 0)
    assert len(stub.connections) == 1


async def test_a_meter_sends_its_readings_at_once_and_as_many_as_it_was_told(
    tmp_path: Path, certificates: Certificates, served: tuple[SmartGridStub, int]
) -> None:
    stub, port = served
    taken, _ = await _driven(tmp_path, certificates, port, METER)
    assert [row.operation for row in taken] == ["LOGIN", "LONG_WRITE", "LOGOUT"]
    (batch,) = stub.batches
    assert len(batch) == 240
    assert taken[1].intended_s >= taken[0].latency_ms / 1000


async def test_a_slow_answer_moves_nothing_and_is_in_the_next_latency(
    tmp_path: Path, certificates: Certificates, served: tuple[SmartGridStub, int]
) -> None:
    stub, port = served
    stub.next_time("query-avg", Fault.SILENCE)
    taken, generated = await _driven(tmp_path, certificates, port, CUSTOMER)
    query, write, logout = taken[1:]
    assert (query.status, query.error) == (0, "timeout")
    assert (write.error, logout.error) == ("", "")
    assert write.intended_s == 0.4
    assert write.latency_ms > (TIMEOUT - 0.1) * 1000 - 50, "it counts from when it was due"
    assert write.lag_ms < 200, "waiting for an answer is not the generator's fault"
    assert generated.failed == 1


async def test_without_a_session_the_rest_is_recorded_as_not_sent(
    tmp_path: Path, certificates: Certificates, served: tuple[SmartGridStub, int]
) -> None:
    stub, port = served
    stub.next_time("login", Fault.TAKEN)
    taken, generated = await _driven(tmp_path, certificates, port, CUSTOMER)
    assert [row.error for row in taken] == ["server_taken"] + 3 * [NOT_SENT]
    assert stub.requests == ["login"]
    assert generated.failed == 4


async def test_nobody_there_is_an_error_of_each_request(
    tmp_path: Path, certificates: Certificates
) -> None:
    with reserve_port() as closed:
        taken, _ = await _driven(tmp_path, certificates, closed.getsockname()[1], CUSTOMER)
    assert [row.error for row in taken] == ["refused"] + 3 * [NOT_SENT]
    assert {row.status for row in taken} == {0}
