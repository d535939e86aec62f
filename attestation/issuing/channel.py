"""The server's end of the channel to its wrapper: one question at a time, each with a deadline for its answer.

After an answer that was missed, could not be read or does not fit the question nothing more is asked: the next packet
might be the answer to an older question. Then the channel is `lost`, and so it is when the wrapper closes its end.

PlatformError
└── AttestationError
    ├── ChannelError (503)    channel_lost    no answer, or one that breaks the rules; another process may do better
    └── RefusedError (403)    refused         the wrapper says no, with a code of its own (`reason`)

Rejected: streams of asyncio over the socket. They keep no packets apart, and cost a waiting server two buffers.
"""

import asyncio
import contextlib
import socket
from typing import Final, TypeVar

from attestation.errors import AttestationError
from attestation.issuing.messages import (
    LONGEST,
    Answer,
    Refused,
    Request,
    encode,
    read_answer,
)
from standby.decode import UnreadableError

_CLOSED: Final = "the wrapper has closed the channel"
AnswerT = TypeVar("AnswerT", bound=Answer)


class ChannelError(AttestationError):
    """Nothing can be asked over the channel any more."""

    code = "channel_lost"
    status = 503
    retry = True


class RefusedError(AttestationError):
    """The wrapper's no; asked again, it may say something else."""

    code = "refused"

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(f"{reason}: {text}")
        self.reason = reason
        self.text = text


class Channel:
    """One process's questions; used in one event loop."""

    def __init__(self, fd: int) -> None:
        """`fd`: an inherited descriptor, which is the channel's from now on.

        Raises:
            OSError: it is not an open socket.
            ValueError: it is a socket of another kind.
        """
        self._socket = socket.socket(fileno=fd)
        if (self._socket.family, self._socket.type) != (socket.AF_UNIX, socket.SOCK_SEQPACKET):
            self._socket.close()
            raise ValueError(f"descriptor {fd} is not a Unix socket of packets")
        self._socket.settimeout(0)
        self.lost = asyncio.Event()
        """Set when nothing can be asked any more, unless this end was only closed."""
        self._turn = asyncio.Lock()
        self._ended = ""
        self._watching: asyncio.AbstractEventLoop | None = None
        self._waiting: asyncio.Future[None] | None = None
        """Of the question that was asked, until there is something to read."""

    async def ask(self, request: Request, kind: type[AnswerT], timeout: float) -> AnswerT:
        """The answer, `timeout` seconds after it was this request's turn at the latest.

        A caller that is cancelled while it is his turn takes the channel with him.

        Raises:
            RefusedError: the wrapper says no.
            ChannelError: the channel is of no use any more; the text says since when.
        """
        async with self._turn:
            answer = await self._answer(encode(request), timeout)
        if isinstance(answer, kind):
            return answer
        if isinstance(answer, Refused):
            raise RefusedError(answer.code, answer.text)
        raise self.lose(f"the wrapper answered {type(request).__name__} by {type(answer).__name__}")

    def lose(self, why: str) -> ChannelError:
        """End the channel, because its other end broke the rules; gives the error to raise."""
        self._ended = self._ended or why
        self.close()
        self.lost.set()
        return ChannelError(why)

    def close(self) -> None:
        """Nobody may be waiting for an answer."""
        self._ended = self._ended or "the channel was closed"
        if self._watching is not None and not self._watching.is_closed():
            self._watching.remove_reader(self._socket)
        self._watching = None
        self._socket.close()

    async def _answer(self, packet: bytes, timeout: float) -> Answer:
        if self._ended:
            raise ChannelError(self._ended)
        try:
            async with asyncio.timeout(timeout):
                return await self._exchange(packet)
        except TimeoutError as error:
            raise self.lose(f"the wrapper gave no answer within {timeout:g} s") from error
        except (OSError, UnreadableError) as error:
            raise self.lose(_failed(error)) from error
        except asyncio.CancelledError:
            self.lose("nobody waited for the last answer")
            raise

    async def _exchange(self, packet: bytes) -> Answer:
        self._expect_silence()
        self._watch()
        self._socket.send(packet)  # there is room: the last request was answered, so it was read
        return read_answer(await self._next_packet())

    async def _next_packet(self) -> bytes:
        while True:
            try:
                packet = self._socket.recv(LONGEST + 1)
            except BlockingIOError:
                await self._something_to_read()
                continue
            if not packet:
                raise ConnectionError(_CLOSED)
            if len(packet) > LONGEST:
                raise ConnectionError(f"an answer has more than {LONGEST} bytes")
            return packet

    async def _something_to_read(self) -> None:
        self._waiting = asyncio.get_running_loop().create_future()
        try:
            await self._waiting
        finally:
            self._waiting = None

    def _watch(self) -> None:
        """From the first question to the end."""
        if self._watching is None:
            self._watching = asyncio.get_running_loop()
            self._watching.add_reader(self._socket, self._readable)

    def _readable(self) -> None:
        if self._waiting is None:
            self._interrupted()
        elif not self._waiting.done():
            self._waiting.set_result(None)

    def _interrupted(self) -> None:
        try:
            self._expect_silence()
        except OSError as error:
            self.lose(_failed(error))

    def _expect_silence(self) -> None:
        with contextlib.suppress(BlockingIOError):  # which is how a quiet channel answers
            early = self._socket.recv(1)
            raise ConnectionError("the wrapper spoke without being asked" if early else _CLOSED)


def _failed(error: Exception) -> str:
    return f"the channel to the wrapper failed: {error}"
