"""The line protocol from the server's end, over real pipes."""

import asyncio
import io
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from smartgrid_server.errors import SessionOverError, VolumeUnavailableError
from smartgrid_server.wrapper_link import WrapperLink
from standby import lines
from standby.ids import Generation, Uid
from tests.support.waiting import eventually

ALICE = Uid("alice")


class Wrapper:
    """Holds the other ends."""

    def __init__(self, descriptor: int, stdout: io.StringIO, link: WrapperLink) -> None:
        self._stdin = os.fdopen(descriptor, "wb", buffering=0)
        self._stdout = stdout
        self.link = link

    def answer(self, text: str) -> None:
        self._stdin.write(text.encode())

    def close(self) -> None:
        self._stdin.close()

    def said(self) -> list[str]:
        return self._stdout.getvalue().splitlines()

    async def asked(self) -> "asyncio.Task[lines.Volume | lines.Denied]":
        """A claim under way whose LOGIN has been printed."""
        task = asyncio.create_task(self.link.ask_volume(ALICE, 5))
        await eventually(self.said, "LOGIN is printed")
        return task


@asynccontextmanager
async def wrapper() -> AsyncIterator[Wrapper]:
    theirs, ours = os.pipe()
    stdout = io.StringIO()
    async with WrapperLink.connected(os.fdopen(theirs, "rb"), stdout) as link:
        other = Wrapper(ours, stdout, link)
        try:
            yield other
        finally:
            other.close()


async def test_login_is_answered_with_a_volume() -> None:
    async with wrapper() as other:
        asking = await other.asked()
        assert other.said() == ["LOGIN alice"]
        other.answer("VOLUME /data/alice 7\n")
        assert await asking == lines.Volume("/data/alice", Generation(7))


async def test_login_is_answered_with_a_denial() -> None:
    async with wrapper() as other:
        asking = await other.asked()
        other.answer("DENIED claimed_elsewhere held by 00112233aabbccdd\n")
        assert await asking == lines.Denied("claimed_elsewhere", "held by 00112233aabbccdd")


async def test_lines_that_mean_nothing_are_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    async with wrapper() as other:
        other.answer("VOLUME /too/early 1\n")
        await eventually(lambda: "answer_not_expected" in caplog.text, "it is passed over")
        asking = await other.asked()
        other.answer("HELLO\n\n" + "x" * 3 * lines.MAX_LINE + "\nVOLUME no-number x\n")
        other.answer("VOLUME /data/alice 7\n")
        assert await asking == lines.Volume("/data/alice", Generation(7))


async def test_no_answer_is_an_error_after_the_deadline() -> None:
    async with wrapper() as other:
        with pytest.raises(VolumeUnavailableError):
            await other.link.ask_volume(ALICE, 0.01)


async def test_the_end_of_stdin_asks_to_stop_and_ends_a_claim_under_way() -> None:
    async with wrapper() as other:
        asking = await other.asked()
        other.close()
        with pytest.raises(SessionOverError):
            await asking
        assert other.link.closed.is_set()
        with pytest.raises(SessionOverError):
            await other.link.ask_volume(ALICE, 5)
