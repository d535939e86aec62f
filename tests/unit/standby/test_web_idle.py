"""A part's HTTP service does not keep connections that bring no request."""

import asyncio

import pytest

from standby.web import Listener, make_app, serving


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HTTP/1.1\r\nHost: x\r\nX: "], ids=["nothing", "half a header"]
)
async def test_a_connection_without_a_complete_header_is_closed(sent: bytes) -> None:
    app = make_app((), body_limit=1024)
    async with (
        asyncio.timeout(30),
        serving(app, [Listener()], idle=0.2) as bound,
    ):
        reader, writer = await asyncio.open_connection(*bound[0])
        writer.write(sent)
        assert await reader.read() == b""
        writer.close()


async def test_a_kept_connection_with_half_a_header_is_closed() -> None:
    app = make_app((), body_limit=1024)
    async with (
        asyncio.timeout(30),
        serving(app, [Listener()], idle=0.2) as bound,
    ):
        reader, writer = await asyncio.open_connection(*bound[0])
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP")
        assert (await reader.read()).startswith(b"HTTP/1.1 404")
        writer.close()
