"""What a real server refuses over mutual TLS; after each refusal it works as before, and nothing was stored."""

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from standby.identity import Role
from tests.support.certificates import Certificates
from tests.support.smartgrid import (
    Client,
    Reply,
    Server,
    kept,
    new_volume,
    running,
    stored,
    volumes,
)

KNOWN_BATCH = {"rows": [[10, 1.0, 2.0, 3.0], [20, 3.0, 2.0, 1.0]]}
KNOWN_ALARMS = {"alarms": [{"metric": "power", "threshold": 9.5}]}
MAX_ROWS = 100
MAX_ALARMS = 5
MAX_BUCKETS = 3
BODY_LIMIT = 20_000


@dataclass
class Session:
    """A session with one meter and one customer, and a few things stored."""

    server: Server
    customer: Client
    meter: Client

    async def is_as_before(self) -> None:
        again = await self.meter.post("long-write", KNOWN_BATCH)
        assert again.body == kept(unchanged=2)
        alarms = await self.customer.get("alarms")
        assert alarms.body == {
            "alarms": [{"id": 1, "metric": "power", "threshold": 9.5}],
            "more": False,
        }
        averages = await self.customer.get("query-avg?metric=power")
        assert averages.body == {
            "metric": "power",
            "count": 2,
            "average": 2.0,
            "buckets": [],
            "first": 10,
            "last": 20,
        }


@contextlib.asynccontextmanager
async def session_of(certificates: Certificates, volume: Path) -> AsyncIterator[Session]:
    limits = {
        "max_rows": MAX_ROWS,
        "max_alarms": MAX_ALARMS,
        "max_buckets": MAX_BUCKETS,
        "body_limit": BODY_LIMIT,
    }
    async with (
        running(certificates, volumes(alice=volume), **limits) as server,
        Client(certificates, server) as customer,
        Client(certificates, server, role=Role.METER) as meter,
    ):
        await asyncio.gather(customer.login(), meter.login())
        await meter.post("long-write", KNOWN_BATCH)
        await customer.post("write", KNOWN_ALARMS)
        yield Session(server, customer, meter)


def batch(*rows: list[Any]) -> bytes:
    return msgspec.json.encode({"rows": rows})


def row(text: str) -> bytes:
    return b'{"rows": [[10, 1, 2, 3], ' + text.encode() + b"]}"


def alarm(text: str) -> bytes:
    return b'{"alarms": [{"metric": "power", "threshold": 1}, ' + text.encode() + b"]}"


BODIES: list[tuple[str, str, bytes, int, str]] = [
    ("no body", "long-write", b"", 400, "malformed"),
    ("not JSON", "long-write", b"{", 400, "malformed"),
    ("not UTF-8", "long-write", b'{"batch_id": "\xff", "rows": []}', 400, "malformed"),
    ("half a surrogate", "long-write", b'{"batch_id": "\\ud800", "rows": []}', 400, "malformed"),
    ("another type", "long-write", b"[]", 400, "malformed"),
    ("a missing field", "long-write", b'{"batch_id": "b"}', 400, "malformed"),
    ("an unknown field", "long-write", b'{"rows": [], "x": 1}', 400, "malformed"),
    ("an empty batch id", "long-write", b'{"batch_id": "", "rows": []}', 400, "malformed"),
    ("a long batch id", "long-write", b'{"batch_id": "' + b"b" * 129 + b'", "rows": []}', 400, "malformed"),
    ("NaN", "long-write", row("[11, 1, 2, NaN]"), 400, "malformed"),
    ("Infinity", "long-write", row("[11, 1, 2, Infinity]"), 400, "malformed"),
    ("too many rows", "long-write", batch(*[[1, 1, 1, 1]] * (MAX_ROWS + 1)), 413, "batch_too_large"),
    ("too many bytes", "long-write", b" " * (BODY_LIMIT + 1), 413, "body_too_large"),
    ("an unknown metric", "write", alarm('{"metric": "colour", "threshold": 1}'), 400, "unknown_metric"),
    ("no threshold", "write", alarm('{"metric": "power"}'), 400, "malformed"),
    ("NaN as threshold", "write", alarm('{"metric": "power", "threshold": NaN}'), 400, "malformed"),
    ("1e999 as threshold", "write", alarm('{"metric": "power", "threshold": 1e999}'), 400, "malformed"),
    ("too many alarms", "write", msgspec.json.encode({"alarms": KNOWN_ALARMS["alarms"] * 6}), 413, "too_many_alarms"),
    ("too many bytes of alarms", "write", b" " * (BODY_LIMIT + 1), 413, "body_too_large"),
    ("no alarm to change", "alarms/2", b'{"metric": "power", "threshold": 1}', 404, "unknown_alarm"),
    ("no number of an alarm", "alarms/one", b'{"metric": "power", "threshold": 1}', 404, "unknown_alarm"),
    ("an unknown metric for an alarm", "alarms/1", b'{"metric": "colour", "threshold": 1}', 400, "unknown_metric"),
    ("a far threshold for an alarm", "alarms/1", b'{"metric": "power", "threshold": 1e13}', 400, "malformed"),
    ("a login without a key", "login", b"{}", 400, "malformed"),
    ("a login with half a key", "login", b'{"key": "00ff"}', 400, "malformed"),
    ("a login with no hex key", "login", b'{"key": "' + b"g" * 64 + b'"}', 400, "malformed"),
]  # fmt: skip

ROWS = (
    "[11, 1, 2]",
    "[11, 1, 2, 3, 4]",
    '[11, 1, 2, "3"]',
    "[11, null, null, null]",
    "[11.5, 1, 2, 3]",
    "[1763683200000, 1, 2, 3]",
    "[4102444800, 1, 2, 3]",
    "[-1, 1, 2, 3]",
    "[11, 1, 2, 1e999]",
    "[11, 1, 2, -1e999]",
    "[11, 1, 2, 1e13]",
)

QUERIES: list[tuple[str, str, str]] = [
    ("no metric", "query-avg", "malformed"),
    ("an unknown metric", "query-avg?metric=colour", "unknown_metric"),
    ("SQL for a metric", "query-avg?metric=power)%20from%20alarms--", "unknown_metric"),
    ("start = end", "query-avg?metric=power&start=10&end=10", "empty_period"),
    ("start > end", "query-avg?metric=power&start=11&end=10", "empty_period"),
    ("words for start", "query-avg?metric=power&start=yesterday", "malformed"),
    ("NaN for start", "query-avg?metric=power&start=nan", "malformed"),
    ("infinity for end", "query-avg?metric=power&end=inf", "malformed"),
    ("a negative start", "query-avg?metric=power&start=-1", "malformed"),
    ("a far end", "query-avg?metric=power&end=9223372036854775808", "malformed"),
    ("an empty bucket", "query-avg?metric=power&bucket=0", "malformed"),
    ("an unknown parameter", "query-avg?metric=power&from=10", "malformed"),
    ("a parameter twice", "query-avg?metric=power&metric=tension", "malformed"),
    ("a page without end", "alarms?limit=1000000000", "malformed"),
    ("a page of conflicts without end", "conflicts?limit=1000000000", "malformed"),
    ("one edge", "query-avg?metric=power&edges=10", "malformed"),
    ("words for edges", "query-avg?metric=power&edges=10,x", "malformed"),
    ("edges that do not rise", "query-avg?metric=power&edges=10,20,20", "empty_period"),
    ("edges and a bucket", "query-avg?metric=power&edges=10,20&bucket=5", "malformed"),
    ("edges and a start", "query-avg?metric=power&edges=10,20&start=5", "malformed"),
    ("a far edge", "query-avg?metric=power&edges=10,999999999999", "malformed"),
]


async def test_what_cannot_be_used_is_refused_whole(
    certificates: Certificates, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    volume = new_volume(tmp_path, "alice")
    async with session_of(certificates, volume) as session:
        for name, path, raw, status, code in BODIES:
            with subtests.test(name):
                client = session.meter if path in {"long-write", "login"} else session.customer
                method = "PUT" if path.startswith("alarms/") else "POST"
                refusal = await client.call(method, path, raw=raw)
                assert (refusal.status, refusal.code) == (status, code)
                await session.is_as_before()
        for name, path, code in QUERIES:
            with subtests.test(name):
                refusal = await session.customer.get(path)
                assert (refusal.status, refusal.code) == (400, code)
                await session.is_as_before()
    assert len(stored(volume, "metrics")) == 2


async def test_a_row_that_cannot_be_stored_costs_that_row_and_is_named(
    certificates: Certificates, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    async with session_of(certificates, new_volume(tmp_path, "alice")) as session:
        for text in ROWS:
            with subtests.test(text):
                reply = await session.meter.post("long-write", raw=row(text))
                assert reply.status == 200
                (rejection,) = reply.body.pop("rejections")
                assert rejection["row"] == 1
                assert reply.body == {
                    key: value
                    for key, value in kept(unchanged=1, rejected=1).items()
                    if key != "rejections"
                }
                await session.is_as_before()


async def test_alarms_are_changed_and_deleted(certificates: Certificates, tmp_path: Path) -> None:
    async with session_of(certificates, new_volume(tmp_path, "alice")) as session:
        customer = session.customer
        new = {"metric": "tension", "threshold": 250.0}
        for _ in range(2):  # the answer may have been lost
            changed = await customer.call("PUT", "alarms/1", new)
            assert (changed.status, changed.body) == (200, {"id": 1, **new})
        assert (await customer.get("alarms")).body["alarms"] == [{"id": 1, **new}]
        deleted = [(await customer.call("DELETE", "alarms/1")).body for _ in range(2)]
        assert deleted == [{"deleted": 1}, {"deleted": 0}]
        assert (await customer.get("alarms")).body["alarms"] == []
        assert (await session.meter.call("DELETE", "alarms/1")).code == "wrong_role"


async def test_what_differs_is_listed_and_replaces_only_on_purpose(
    certificates: Certificates, tmp_path: Path
) -> None:
    async with session_of(certificates, new_volume(tmp_path, "alice")) as session:
        other = {"rows": [[10, 1.5, 2.0, 3.0], [11, 7.0, None, None]]}
        for counts in (kept(stored=1, conflicts=1), kept(unchanged=1, conflicts=1)):
            assert (await session.meter.post("long-write", other)).body == counts
        found = (await session.customer.get("conflicts")).body
        about = {"id": 1, "timestamp": 10, "metric": "power"}
        assert found == {"conflicts": [{**about, "value": 1.5, "stored": 1.0}], "more": False}
        corrected = await session.meter.post("long-write", {**other, "correct": True})
        assert corrected.body == kept(unchanged=1, corrected=1)
        (found,) = (await session.customer.get("conflicts?after=1&limit=1")).body["conflicts"]
        assert {**about, "value": 1.0, "stored": 1.5, "id": found["id"]} == found
        average = await session.customer.get("query-avg?metric=power&edges=10,11,12")
        assert [each["average"] for each in average.body["buckets"]] == [1.5, 7.0]


async def test_who_may_not_is_refused(
    certificates: Certificates, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    volume = new_volume(tmp_path, "alice")
    async with session_of(certificates, volume) as session:
        customer, meter = session.customer, session.meter
        new = {"rows": [[1, 1.0, 1.0, 1.0]]}
        basic = {"Authorization": "Basic eDp5"}
        calls: list[tuple[str, Reply, int, str]] = [
            ("a meter that queries", await meter.get("query-avg?metric=power"), 403, "wrong_role"),
            ("a meter that writes alarms", await meter.post("write", KNOWN_ALARMS), 403, "wrong_role"),
            ("a meter that lists alarms", await meter.get("alarms"), 403, "wrong_role"),
            ("a customer's LONG_WRITE", await customer.post("long-write", new), 403, "wrong_role"),
            ("no token", await meter.post("long-write", new, token=""), 401, "token_required"),
            ("an unknown token", await meter.post("long-write", new, token="x"), 401, "unknown_token"),
            (
                "the customer's token with the meter's certificate",
                await meter.post("long-write", new, token=customer.token),
                401,
                "unknown_token",
            ),
            ("an unknown token at logout", await meter.post("logout", token="x"), 401, "unknown_token"),
            ("another scheme", await customer.get("alarms", token="", **basic), 401, "token_required"),
            ("an unknown path", await customer.get("nothing"), 404, "no_such_endpoint"),
            ("another method", await customer.get("login"), 405, "method_not_allowed"),
        ]  # fmt: skip
        for name, refusal, status, code in calls:
            with subtests.test(name):
                assert (refusal.status, refusal.code) == (status, code)
        await session.is_as_before()


async def test_another_users_certificate_is_refused(
    certificates: Certificates, tmp_path: Path
) -> None:
    async with session_of(certificates, new_volume(tmp_path, "alice")) as session:
        mallory = Client(certificates, session.server, "mallory", asks_for="alice")
        async with mallory:
            for refusal in (
                await mallory.login(),
                await mallory.get("alarms", token=session.customer.token),
                await mallory.post("logout", token=session.customer.token),
            ):
                assert (refusal.status, refusal.code) == (403, "wrong_user")
        await session.is_as_before()


async def test_a_malformed_login_is_none(certificates: Certificates, tmp_path: Path) -> None:
    async with (
        running(certificates, volumes(alice=new_volume(tmp_path, "alice"))) as server,
        Client(certificates, server, "alice") as alice,
    ):
        assert (await alice.post("login", raw=b'{"key": 1}')).code == "malformed"
        assert server.said == ["WAITING_LOGIN"]
        assert (await alice.login()).status == 200
        assert server.said == ["WAITING_LOGIN", "LOGIN alice"]


async def test_more_buckets_than_an_answer_holds_are_refused(
    certificates: Certificates, tmp_path: Path
) -> None:
    async with session_of(certificates, new_volume(tmp_path, "alice")) as session:
        rows = [[second, 1.0, 1.0, 1.0] for second in range(MAX_BUCKETS + 1)]
        await session.meter.post("long-write", {"rows": rows})
        refusal = await session.customer.get("query-avg?metric=power&bucket=1&end=4")
        assert (refusal.status, refusal.code) == (400, "too_many_buckets")
        fitting = await session.customer.get("query-avg?metric=power&bucket=1&end=3")
        assert [each["start"] for each in fitting.body["buckets"]] == [0, 1, 2]


async def test_a_compressed_body_is_refused_unread(
    certificates: Certificates, tmp_path: Path
) -> None:
    async with session_of(certificates, new_volume(tmp_path, "alice")) as session:
        for raw in (gzip.compress(b" " * 1_000_000), b"not gzip"):
            headers = {"Content-Encoding": "gzip"}
            refusal = await session.meter.post("long-write", raw=raw, **headers)
            assert (refusal.status, refusal.code) == (400, "malformed")
            await session.is_as_before()


@pytest.mark.parametrize(
    "body",
    [
        b"Transfer-Encoding: chunked\r\n\r\nfive\r\nhello\r\n0\r\n\r\n",
        b"Content-Length: five\r\n\r\nhello",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"Content-Length: 50\r\n\r\nhello",
    ],
    ids=["broken chunk", "no number", "both lengths", "cut off"],
)
async def test_a_broken_request_ends_its_connection_and_nothing_else(
    certificates: Certificates, tmp_path: Path, body: bytes
) -> None:
    async with session_of(certificates, new_volume(tmp_path, "alice")) as session:
        context = certificates.user_context("alice", Role.METER)
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", session.server.port, ssl=context, server_hostname="alice"
        )
        token = f"Authorization: Bearer {session.meter.token}\r\n".encode()
        writer.write(b"POST /v1/long-write HTTP/1.1\r\nHost: alice\r\n" + token + body)
        if body.startswith(b"Content-Length: 50"):
            await writer.drain()
            writer.transport.abort()
        else:
            async with asyncio.timeout(5):
                assert b" 400 " in await reader.readline()
            writer.transport.abort()
        await session.is_as_before()


async def test_alarms_come_in_pages(certificates: Certificates, tmp_path: Path) -> None:
    async with session_of(certificates, new_volume(tmp_path, "alice")) as session:
        alarms = [{"metric": "tension", "threshold": float(n)} for n in range(4)]
        await session.customer.post("write", {"alarms": alarms})
        page = (await session.customer.get("alarms?limit=2&after=1")).body
        assert ([each["id"] for each in page["alarms"]], page["more"]) == ([2, 3], True)
        page = (await session.customer.get("alarms?limit=2&after=3")).body
        assert ([each["id"] for each in page["alarms"]], page["more"]) == ([4, 5], False)
