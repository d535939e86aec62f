"""The server's end of the line protocol: events on stdout, answers on stdin.

The end of stdin means: please stop. It is also what is left of a wrapper that died.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import IO, Final, Self, TextIO

from smartgrid_server.errors import SessionOverError, VolumeUnavailableError
from standby import lines, pipes
from standby.ids import Uid
from standby.logs import EventLog

log = EventLog(__name__)
_NO_ANSWER: Final = "the platform did not provide the user's data in time; try again"
_STOPPING: Final = "this server is about to end; connect again"


class WrapperLink:
    """Says what happens, and asks for the user's volume."""

    def __init__(self, reader: asyncio.StreamReader, stdout: TextIO) -> None:
        self.closed = asyncio.Event()
        """Set when the wrapper asks this process to stop."""
        self._reader = reader
        self._stdout = stdout
        self._answer: asyncio.Future[lines.Volume | lines.Denied] | None = None

    @classmethod
    @asynccontextmanager
    async def connected(
        cls, stdin: IO[bytes] = sys.stdin.buffer, stdout: TextIO = sys.stdout
    ) -> AsyncIterator[Self]:
        """The link over this process's stdin and stdout while the context lasts."""
        reader, transport = await pipes.reader(stdin, lines.MAX_LINE)
        link = cls(reader, stdout)
        task = asyncio.create_task(link.listen(), name="wrapper-link")
        try:
            yield link
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            transport.close()
            stdin.close()

    def say(self, line: str) -> None:
        """Print one event. It is short and the wrapper keeps reading, so this does not block."""
        print(line, file=self._stdout, flush=True)

    async def ask_volume(self, uid: Uid, timeout: float) -> lines.Volume | lines.Denied:
        """Say LOGIN and wait for the answer, `timeout` seconds at most.

        Raises:
            VolumeUnavailableError: no answer in time.
            SessionOverError: this process was asked to stop.
        """
        if self.closed.is_set():
            raise SessionOverError(_STOPPING)
        self._answer = asyncio.get_running_loop().create_future()
        self.say(lines.login(uid))
        try:
            async with asyncio.timeout(timeout):
                return await self._answer
        except TimeoutError as error:
            raise VolumeUnavailableError(_NO_ANSWER) from error
        finally:
            self._answer = None

    async def listen(self) -> None:
        """Take the wrapper's answers until it closes our stdin."""
        try:
            while line := await self._next_line():
                self._take(line)
        finally:
            self.closed.set()
            self.give_up()

    def give_up(self) -> None:
        """Whoever waits for an answer waits no longer."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(SessionOverError(_STOPPING))

    async def _next_line(self) -> bytes:
        """The next line; a longer one than the protocol knows comes as a line that means nothing."""
        try:
            return await self._reader.readline()
        except ValueError:
            return b"(too long)\n"

    def _take(self, line: bytes) -> None:
        try:
            answer = lines.parse_answer(line.decode("utf-8", "replace"))
        except lines.LineError as error:
            log.warning("answer_not_understood", text=str(error))
            return
        if self._answer is None or self._answer.done():
            log.warning("answer_not_expected", kind=type(answer).__name__)
            return
        self._answer.set_result(answer)
