"""The server's end of the line protocol: events on stdout, answers on stdin.

The end of stdin means: please stop. It is also what is left of a wrapper that died.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import IO, Final, Self, TextIO

from smartgrid_server.errors import SessionOverError, VolumeUnavailableError
from standby import lines
from standby.ids import Uid
from standby.logs import EventLog

log = EventLog(__name__)
_NO_ANSWER: Final = "the platform did not provide the user's data in time; try again"
_STOPPING: Final = "this server is about to end; connect again"


class WrapperLink:
    """Says what happens, and asks for the user's volume."""

    def __init__(self, stdin: IO[bytes], stdout: TextIO) -> None:
        self.closed = asyncio.Event()
        """Set when the wrapper asks this process to stop."""
        self._stdin = stdin.fileno()
        self._stdout = stdout
        self._cutter = lines.LineCutter()
        self._answer: asyncio.Future[lines.Volume | lines.Denied] | None = None

    @classmethod
    @asynccontextmanager
    async def connected(
        cls, stdin: IO[bytes] = sys.stdin.buffer, stdout: TextIO = sys.stdout
    ) -> AsyncIterator[Self]:
        """The link over this process's stdin and stdout while the context lasts."""
        link = cls(stdin, stdout)
        loop = asyncio.get_running_loop()
        os.set_blocking(stdin.fileno(), False)
        loop.add_reader(stdin.fileno(), link.listen)
        try:
            yield link
        finally:
            loop.remove_reader(stdin.fileno())
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

    def listen(self) -> None:
        """Take what the wrapper has written; the end of it asks this process to stop."""
        try:
            chunk = os.read(self._stdin, lines.MAX_LINE)
        except BlockingIOError:
            return
        for line in self._cutter.feed(chunk):
            self._take(line)
        if not chunk:
            asyncio.get_running_loop().remove_reader(self._stdin)
            self.closed.set()
            self.give_up()

    def give_up(self) -> None:
        """Whoever waits for an answer waits no longer."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(SessionOverError(_STOPPING))

    def _take(self, line: str) -> None:
        try:
            answer = lines.parse_answer(line)
        except lines.LineError as error:
            log.warning("answer_not_understood", text=str(error))
            return
        if self._answer is None or self._answer.done():
            log.warning("answer_not_expected", kind=type(answer).__name__)
            return
        self._answer.set_result(answer)
