"""Calls of the parts' HTTP APIs, for the operator's commands."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final, TypeVar

import aiohttp
import msgspec

from standby import deadlines, decode, tls
from standby.bodies import at_most
from standby.decode import UnreadableError
from standby.errors import words
from standby.messages import ErrorBody
from standby_cli.errors import CommandError

T = TypeVar("T")
_MOST: Final = 1 << 28
"""Bytes of an answer; the state of 1,000,000 servers has about that."""


class CallError(CommandError):
    """A part did not answer, or refused."""


class NoAnswerError(CallError):
    """It is away, or hangs."""

    def __init__(self, call: str, why: str) -> None:
        super().__init__(f"{call}: no answer ({why}); `standby status` says which part is away")
        self.why = why


class Control:
    """One HTTP client for all parts; orders carry the operator's certificate."""

    def __init__(self, session: aiohttp.ClientSession, orders: tls.TlsFiles | None) -> None:
        self._session = session
        self._tls = tls.client_context(orders) if orders else None

    async def get(self, url: str, kind: type[T]) -> T:
        """Read a message over the plain listener.

        Raises:
            CallError: no answer, a refusal, or an answer that cannot be used.
        """
        return _message(url, await self._call("GET", url, b""), kind)

    async def is_ready(self, url: str) -> bool:
        """Whether `url` (a `/readyz` or `/healthz`) answers 200."""
        try:
            await self._call("GET", url, b"")
        except CallError:
            return False
        return True

    async def order(
        self,
        method: str,
        url: str,
        message: object,
        kind: type[T],
        *,
        timeout: float = deadlines.CONTROL_REQUEST,
    ) -> T:
        """Give an order over the control listener.

        Raises:
            CallError: no answer, a refusal, or an answer that cannot be used.
        """
        body = await self._call(method, url, msgspec.json.encode(message), timeout)
        return _message(url, body, kind)

    async def _call(
        self, method: str, url: str, body: bytes, timeout: float = deadlines.CONTROL_REQUEST
    ) -> bytes:
        try:
            async with self._session.request(
                method,
                url,
                data=body or None,
                ssl=self._tls if self._tls and url.startswith("https:") else True,
                timeout=aiohttp.ClientTimeout(total=timeout),
            ) as response:
                answer = await at_most(response, _MOST)
                if response.ok:
                    return answer
                raise CallError(f"{method} {url}: {response.status} {_reason(answer)}")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise NoAnswerError(f"{method} {url}", words(error)) from error


def _message(url: str, body: bytes, kind: type[T]) -> T:
    try:
        return decode.json(body, kind)
    except UnreadableError as error:
        raise CallError(f"{url}: the answer cannot be used: {error}") from error


def _reason(answer: bytes) -> str:
    try:
        error = decode.json(answer, ErrorBody).error
    except UnreadableError:
        return answer[:200].decode(errors="replace")
    return f"{error.code}: {error.message}"


@contextlib.asynccontextmanager
async def control(orders: tls.TlsFiles | None = None) -> AsyncIterator[Control]:
    async with aiohttp.ClientSession() as session:
        yield Control(session, orders)


async def until_ready(control: Control, url: str, pause: float = 0.05) -> None:
    """Return once `url` answers 200; the caller sets the deadline."""
    while not await control.is_ready(url):  # noqa: ASYNC110  # another process's readiness has no event
        await asyncio.sleep(pause)
