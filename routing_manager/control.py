"""Orders to wrappers: a small client of their control API, over mutual TLS with the Routing Manager's own certificate.

A start is sent in the background, because nobody waits for its answer: the next report shows the process. Only a clear
refusal is told to the core; silence is not, for the order may have arrived, and is repeated with the same ticket.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import Final

import aiohttp
import msgspec

from routing_manager.actions import StartServer
from routing_manager.errors import WrapperUnreachableError
from standby.deadlines import CONTROL_REQUEST
from standby.errors import words
from standby.logs import EventLog
from standby.messages import StartOrder

_FIRST_ERROR: Final = 400
"""The lowest HTTP status that is an error."""
log = EventLog(__name__)


class ControlClient:
    """Owns its connections and the orders under way; close it."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        """Without `tls` every order is refused."""
        self._tls = tls
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=CONTROL_REQUEST), trust_env=False
        )
        self._orders: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        for task in self._orders:
            task.cancel()
        await asyncio.gather(*self._orders, return_exceptions=True)
        await self._session.close()

    def start_server(self, order: StartServer, failed: Callable[[str], None]) -> None:
        """Send the order; `failed` is called with its ticket if the wrapper certainly has not taken it."""
        task = asyncio.create_task(self._start(order, failed), name=f"order {order.ticket}")
        self._orders.add(task)
        task.add_done_callback(self._orders.discard)

    async def drain(self, control_url: str) -> None:
        """Ask a wrapper to drain.

        Raises:
            WrapperUnreachableError: it did not answer, or answered with an error.
        """
        try:
            status = await self._post(control_url, "/v1/drain", b"")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise WrapperUnreachableError(f"the wrapper did not answer: {words(error)}") from error
        if status >= _FIRST_ERROR:
            raise WrapperUnreachableError(f"the wrapper answered with status {status}")

    async def _start(self, order: StartServer, failed: Callable[[str], None]) -> None:
        fields = {"wrapper_id": order.wrapper_id, "ticket": order.ticket}
        body = msgspec.json.encode(StartOrder(ticket=order.ticket))
        try:
            status = await self._post(order.control_url, "/v1/starts", body)
        except (aiohttp.ClientConnectorError, aiohttp.InvalidURL, WrapperUnreachableError) as error:
            log.warning("order_not_sent", text=words(error), **fields)
            failed(order.ticket)
        except (aiohttp.ClientError, TimeoutError) as error:
            log.warning("order_unanswered", text=words(error), **fields)
        except Exception as error:  # noqa: BLE001  # an address that cannot be used costs its orders, and is seen
            log.error("order_not_sent", error=error, **fields)
            failed(order.ticket)
        else:
            if status >= _FIRST_ERROR:
                log.warning("order_refused", status=status, **fields)
                failed(order.ticket)

    async def _post(self, control_url: str, path: str, body: bytes) -> int:
        if self._tls is None or not control_url.startswith("https://"):
            raise WrapperUnreachableError("orders need https and this part's TLS files")
        async with self._session.post(
            control_url.rstrip("/") + path,
            data=body,
            headers={"Content-Type": "application/json"},
            ssl=self._tls,
            allow_redirects=False,
        ) as response:
            return response.status
