"""The library for programs that talk to their user's server.

    verifier = Verifier(trust.load(policy_file))
    async with SmartGridClient(Address("127.0.0.1", 8443, uid), tls, verifier) as client:
        await client.login(key)
        averages = await client.query_avg(Metric.POWER, bucket=3600)
        await client.logout()

Each method sends one request once and raises a `ClientError`; repeating and logging in again are `session.Session`'s.
The key, the tokens and the readings go to whatever answers under the user's name unless there is a verifier: TLS shows
that somebody with an issuing key of the platform made the certificate, a verifier shows what program it is for.

Not promised: use by several tasks at once. One connection serves one request at a time.
"""

import contextlib
import ssl
from collections.abc import Iterable
from typing import Self, TypeVar

from smartgrid_client import errors, listing, requests
from smartgrid_client.batches import Batch
from smartgrid_client.connection import Address, Connection, Exchange
from smartgrid_client.credentials import Credentials
from smartgrid_client.messages import (
    Alarm,
    Averages,
    Conflict,
    Freshness,
    Login,
    Metric,
    Stored,
    StoredAlarm,
)
from smartgrid_client.requests import Operation, Request
from smartgrid_client.verifier import Verifier
from standby.deadlines import CLIENT_CONNECT, CLIENT_REQUEST
from standby.secret import Secret
from standby.tls import TlsFiles

ReplyT = TypeVar("ReplyT")


class SmartGridClient:
    """One user's client: at most one TLS connection and one session token at a time."""

    def __init__(
        self,
        address: Address,
        tls: TlsFiles | Credentials,
        verifier: Verifier | None = None,
        *,
        request_timeout: float = CLIENT_REQUEST,
        connect_timeout: float = CLIENT_CONNECT,
    ) -> None:
        """Nothing is sent before the first request.

        Args:
            address: of the platform, with the user
            tls: the user's certificate and key, and who may certify servers
            verifier: has every server prove what it is before it gets anything; None: none has to, so that whoever runs
                the platform can have the key and the data. Only for programs that know this and trust the machine.
            request_timeout: seconds for a request with all that it needs
            connect_timeout: seconds for TCP, the wait for a server and the TLS handshake

        Raises:
            SettingsError: a TLS file cannot be loaded.
            ValueError: a verifier, and a TLS context that does not check the server's name and authority.
        """
        credentials = tls if isinstance(tls, Credentials) else Credentials.load(tls)
        context = credentials.context
        checked = context.check_hostname and context.verify_mode is ssl.CERT_REQUIRED
        if verifier is not None and not checked:
            raise ValueError("a server is verified for a name: the TLS context has to check it")
        self._connection = Connection(
            address, credentials, request_timeout, connect_timeout, verifier
        )
        self._token: str | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def logged_in(self) -> bool:
        """Whether this client holds a token; the server may think otherwise by now."""
        return self._token is not None

    async def exchange(self, request: Request[ReplyT]) -> Exchange[ReplyT]:
        """Send one request once; its outcome, good or bad, with its timing."""
        token = None if request.operation is Operation.LOGIN else self._token
        exchange = await self._connection.exchange(request, token)
        outcome = exchange.outcome
        if isinstance(outcome, Login):
            self._token = outcome.token
        elif isinstance(outcome, errors.SessionOverError) or _logged_out(exchange):
            self._token = None
        return exchange

    @property
    def connected(self) -> bool:
        """Whether the next request probably finds a connection, and does not wait for a server."""
        return self._connection.used

    async def disconnect(self) -> None:
        """Close the connection and keep the token; the next request may reach another process."""
        await self._connection.close()

    async def close(self) -> None:
        """Close the connection without LOGOUT."""
        self._token = None
        await self._connection.close()

    async def login(
        self, key: Secret, freshness: Freshness | None = None, *, accept_older: bool = False
    ) -> Login:
        """Begin a session with the user's 32-byte database key.

        With what LOGOUT returned the last time, older data are refused, unless they are accepted.
        """
        request = requests.login(key, freshness, accept_older=accept_older)
        return (await self.exchange(request)).result()

    async def logout(self) -> Freshness | None:
        """End this client's session; one that is over already is fine.

        Returns what the database was like when it was closed, if it was closed with this.
        """
        with contextlib.suppress(errors.SessionOverError):
            return (await self.exchange(requests.logout())).result().freshness
        return None

    async def write(self, alarms: Iterable[Alarm]) -> Stored:
        """Store alarms, all or none (customers)."""
        return (await self.exchange(requests.write(alarms))).result()

    async def long_write(self, batch: Batch, *, correct: bool = False) -> Stored:
        """Store a batch of readings, each once however often it is sent (meters).

        `correct`: values that differ from stored ones take their place; otherwise they are kept apart.
        """
        return (await self.exchange(requests.long_write(batch, correct=correct))).result()

    async def query_avg(
        self,
        metric: Metric,
        start: int | None = None,
        end: int | None = None,
        bucket: int | None = None,
    ) -> Averages:
        """Averages over `start` <= t < `end` in Unix seconds, per `bucket` seconds if given (customers)."""
        return (await self.exchange(requests.query_avg(metric, start, end, bucket))).result()

    async def change_alarm(self, number: int, alarm: Alarm) -> StoredAlarm:
        """Give the alarm of that id another metric and threshold (customers)."""
        return (await self.exchange(requests.change_alarm(number, alarm))).result()

    async def delete_alarm(self, number: int) -> bool:
        """Delete the alarm of that id; False: it was gone already (customers)."""
        return (await self.exchange(requests.delete_alarm(number))).result().deleted > 0

    async def alarms(self) -> list[StoredAlarm]:
        """All stored alarms (customers)."""
        return await listing.alarms(self._ask)

    async def conflicts(self) -> list[Conflict]:
        """All values that differ from the stored ones (customers)."""
        return await listing.conflicts(self._ask)

    async def _ask(self, request: Request[ReplyT]) -> ReplyT:
        return (await self.exchange(request)).result()


def _logged_out(exchange: Exchange[object]) -> bool:
    return exchange.operation is Operation.LOGOUT and not exchange.failed
