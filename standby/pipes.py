"""Reading a pipe on the event loop, whichever loop that is.

uvloop (0.23) lets libuv close the descriptor of a pipe that it reads and closes the file object as well, by when
another thread may have opened a file of the same number: that file is then gone, whatever it was, a claim's lock for
instance. So the loop is given a descriptor of its own, and under uvloop a file object that does not close it.
"""

import asyncio
import os
from typing import IO

import uvloop


async def reader(pipe: IO[bytes], limit: int) -> tuple[asyncio.StreamReader, asyncio.ReadTransport]:
    """What can be read from the pipe, and how to stop; the pipe itself remains the caller's to close.

    Raises:
        OSError: no descriptors are left.
    """
    loop = asyncio.get_running_loop()
    own = os.fdopen(
        os.dup(pipe.fileno()), "rb", buffering=0, closefd=not isinstance(loop, uvloop.Loop)
    )
    stream = asyncio.StreamReader(limit=limit)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), own)
    return stream, transport
