"""A request's body that is no message is one clear refusal, whatever it is."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from standby.messages import PoolSize
from standby.web import Endpoint, Listener, make_app, read, respond, serving

LIMIT = 1 << 20
DEEP = 200_000
BODIES = {
    "no JSON": b"{",
    "no UTF-8": b"\xff\xfe{}",
    "nothing": b"",
    "another type": b"[]",
    "a number out of range": b'{"size":100001}',
    "a number of 4,300 digits": b'{"size":' + b"9" * 4300 + b"}",
    "a number of 10,000 digits": b'{"size":' + b"9" * 10_000 + b"}",
    "a float": b'{"size":1e400}',
    "deep lists in an unknown field": b'{"unknown":' + b"[" * DEEP,
    "deep objects in an unknown field": b'{"unknown":' + b'{"":' * DEEP,
    "deep lists that end": b'{"size":1,"unknown":' + b"[" * DEEP + b"]" * DEEP + b"}",
}


async def _take(request: web.Request) -> web.Response:
    return respond(await read(request, PoolSize))


@pytest.fixture
async def url() -> AsyncIterator[str]:
    app = make_app([Endpoint("POST", "/", _take, "a test")], body_limit=LIMIT)
    async with serving(app, [Listener()]) as bound:
        yield f"http://127.0.0.1:{bound[0][1]}/"


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
async def test_what_is_no_message_is_malformed(
    url: str, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with aiohttp.ClientSession() as session, session.post(url, data=body) as response:
        error = (await response.json())["error"]
    assert (response.status, error["code"]) == (400, "malformed")
    assert len(error["message"]) <= 400
    assert error["message"].isprintable()
    assert [each for each in caplog.records if each.exc_info or each.levelname == "ERROR"] == []
