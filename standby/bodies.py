"""Bodies of HTTP answers, of which a peer may not make too much."""

import asyncio

import aiohttp


async def at_most(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The whole body.

    Raises:
        ClientPayloadError: it is longer than `most` bytes; the rest is not read.
    """
    try:
        await response.content.readexactly(most + 1)
    except asyncio.IncompleteReadError as complete:
        return complete.partial
    response.close()
    raise aiohttp.ClientPayloadError(f"an answer of more than {most} bytes")
