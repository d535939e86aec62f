"""One TLS connection to one's own server, through the load balancer, and what can happen to a request on it.

The connection goes to the load balancer's address and names the user (SNI = uid); the certificate that comes back
must be for that user, from the servers' authority. TLS checks both: `server_hostname` of each request is the uid, and
the context compares it with the certificate's names (`check_hostname`, on in each of ours). There is at most one
connection at a time, so all requests of a session reach the same process without asking the platform again; it is
opened by the first request and kept for as long as a session may be quiet.

With a verifier, the server at the other end of a new connection is challenged before it gets anything else, whichever
request needed the connection (`smartgrid_client.verified`). What does not convince the verifier is closed. Its answer
also says what a LOGIN has to prove there; without a verifier a LOGIN begins with asking for that. The proof is made for
the key that the connection's certificate shows, so it is of no use to any other server.

Latency is measured as in the dissertation (section 5.2.1): from just before sending to the whole response, without
preparing and without inspecting. Opening the connection, which includes waiting for a free server and verifying it, is
part of the request that needed it, and is given separately as well.

Errors of aiohttp, ssl and the system become `ClientError`s here (by `faults.translate`) and nowhere else.
"""

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

import aiohttp

from smartgrid_client import errors, requests, wire
from smartgrid_client.admission import Admitted
from smartgrid_client.credentials import Credentials
from smartgrid_client.faults import translate
from smartgrid_client.messages import LoginChallenge
from smartgrid_client.requests import Operation, Request
from smartgrid_client.verified import (
    Peer,
    PeerConnector,
    UnverifiedConnectionError,
    VerifiedConnector,
)
from smartgrid_client.verifier import Verifier
from smartgrid_client.wire import Progress
from standby import decode
from standby.bodies import at_most
from standby.deadlines import CLIENT_CONNECT, CLIENT_REQUEST
from standby.decode import UnreadableError
from standby.ids import Uid
from standby.messages import ErrorBody

ReplyT = TypeVar("ReplyT")
ReplyT_co = TypeVar("ReplyT_co", covariant=True)
_REFUSED: Final = 400
_REDIRECTED: Final = 300
_VERIFICATIONS: Final = 3
"""For one request; a server that is verified and then gone so often does not want it."""
_AT_ONCE: Final = 0.001
"""Seconds for what has no time left; 0 would mean without limit."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the platform is, and whose server is wanted there."""

    host: str
    port: int
    uid: Uid


@dataclass(frozen=True, slots=True)
class Exchange(Generic[ReplyT_co]):
    """One request that was sent once, and what came of it."""

    operation: Operation
    sent_at: float
    """Unix seconds."""
    latency: float
    """Seconds, `connect` included."""
    connect: float
    """Seconds for TCP, the wait for a server, the TLS handshake and verifying the server; 0 on an open connection."""
    outcome: ReplyT_co | errors.ClientError
    admitted: Admitted | None = None
    """What the server has proved, if it had to for this request."""

    @property
    def failed(self) -> bool:
        """A LOGOUT from a session that is over has reached what it wanted."""
        over = isinstance(self.outcome, errors.SessionOverError)
        if self.operation is Operation.LOGOUT and over:
            return False
        return isinstance(self.outcome, errors.ClientError)

    def result(self) -> ReplyT_co:
        """The reply.

        Raises:
            ClientError: what happened instead.
        """
        if isinstance(self.outcome, errors.ClientError):
            raise self.outcome
        return self.outcome


@dataclass(slots=True)
class _Answer:
    """What came back for one request; with an error there is no body."""

    ended: float
    progress: Progress
    status: int = 0
    body: bytes = b""
    error: Exception | None = None

    @property
    def needs_verification(self) -> bool:
        return isinstance(self.error, UnverifiedConnectionError)


@dataclass(frozen=True, slots=True)
class _Asked:
    challenge: LoginChallenge
    certificate: bytes
    """Of the server that asks, in DER."""


@dataclass(slots=True)
class Connection:
    """The connection; closing it is not final, the next request opens a new one."""

    address: Address
    credentials: Credentials
    request_timeout: float = CLIENT_REQUEST
    connect_timeout: float = CLIENT_CONNECT
    verifier: Verifier | None = None
    """None: every server gets the requests, whatever it is."""
    _session: aiohttp.ClientSession | None = field(default=None, init=False)
    _asked: "_Asked | None" = field(default=None, init=False)
    """What the server of the connection wants to have proved at LOGIN."""
    _met: bool = field(default=False, init=False)
    """The address has led to a server before."""

    @property
    def used(self) -> bool:
        """Whether a request was sent since it was closed, so that there probably is a connection."""
        return self._session is not None

    async def exchange(
        self, request: Request[ReplyT], token: str | None = None
    ) -> Exchange[ReplyT]:
        """Send one request once; failures are in the outcome."""
        self._opened()
        connect, admitted = 0.0, None
        sent_at, began = time.time(), time.perf_counter()
        try:
            if self.verifier is None and request.operation is Operation.LOGIN:
                connect = await self._ask_for_challenge(began)
            answer = await self._ask(self._proved(request), began, token)
            for _ in range(_VERIFICATIONS):
                if self.verifier is None or not answer.needs_verification:
                    break
                admitted = await self._verify(self.verifier, request.operation, began)
                connect = time.perf_counter() - began
                answer = await self._ask(self._proved(request), began, token)
        except errors.ClientError as error:
            spent = time.perf_counter() - began
            await self.close()
            return Exchange(request.operation, sent_at, spent, 0.0, error)
        outcome = self._outcome(request, answer)
        latency = answer.ended - began
        connect = connect or answer.progress.connect
        return Exchange(request.operation, sent_at, latency, connect, outcome, admitted)

    async def close(self) -> None:
        session, self._session, self._asked = self._session, None, None
        if session is not None:
            # Python 3.11.2 (Debian 12) fails at aborting a TLS transport that is closed already; all else is done then
            with contextlib.suppress(AttributeError):
                await session.close()
            await asyncio.sleep(0)  # what was aborted closes its socket in the loop's next round

    async def _verify(self, verifier: Verifier, operation: Operation, began: float) -> Admitted:
        """Have a new connection whose server is admitted.

        Raises:
            ClientError: there is none now, or the server may not have anything.
        """
        challenge = verifier.challenge(time.time())
        question = requests.attest(operation, challenge.nonce)
        answer, peer = await self._ask_peer(question, began)
        outcome = self._outcome(question, answer)
        if isinstance(outcome, errors.ClientError):
            raise verifier.unproven(outcome, None if peer is None else peer.certificate)
        if peer is None:
            raise errors.ServerNotTrustedError("the connection of the answer is not known")
        admitted = verifier.judge(challenge, outcome, peer.certificate, time.time())
        connector = self._connector()
        if not isinstance(connector, VerifiedConnector):
            raise errors.ServerNotTrustedError("connections are not told apart")
        connector.admit(peer)
        self._asked = None if outcome.login is None else _Asked(outcome.login, peer.certificate)
        return admitted

    async def _ask_for_challenge(self, began: float) -> float:
        """Know what a LOGIN has to prove, without a verifier; gives what opening a connection has taken.

        Raises:
            ClientError: there is no server now, or it does not say.
        """
        question = requests.login_challenge()
        answer, peer = await self._ask_peer(question, began)
        challenge = self._outcome(question, answer)
        if isinstance(challenge, errors.ClientError):
            raise challenge
        self._asked = None if peer is None else _Asked(challenge, peer.certificate)
        return answer.progress.connect

    def _proved(self, request: Request[ReplyT]) -> Request[ReplyT]:
        """The request as it is sent: a LOGIN has the proof that the connection's server asked for.

        Raises:
            ServerNotTrustedError: the server's certificate cannot be read.
        """
        if self._asked is None or request.operation is not Operation.LOGIN:
            return request
        proof = self.credentials.prove(self._asked.challenge, self._asked.certificate)
        return request.with_proof(proof)

    async def _ask_peer(
        self, request: Request[ReplyT], began: float
    ) -> tuple[_Answer, Peer | None]:
        """Send a request; who has got it, as far as it was sent."""
        connector = self._connector()
        connector.forget_peer()
        answer = await self._ask(request, began)
        return answer, connector.peer

    async def _ask(
        self, request: Request[ReplyT], began: float, token: str | None = None
    ) -> _Answer:
        """Send a request, within what is left of the time that began at `began`."""
        attesting = request.path == requests.ATTEST_PATH
        progress = Progress(may_open=attesting or self.verifier is None)
        left = self.request_timeout - (time.perf_counter() - began)
        call = self._opened().request(
            request.method,
            request.path,
            params=request.query,
            data=request.body,
            headers=wire.headers(self.address.uid, token),
            allow_redirects=False,
            server_hostname=self.address.uid,
            timeout=aiohttp.ClientTimeout(total=max(_AT_ONCE, left), connect=self.connect_timeout),
            trace_request_ctx=progress,
        )
        try:
            async with call as response:
                most = wire.MOST_EVIDENCE if attesting else wire.MOST
                body = await at_most(response, most)
            return _Answer(time.perf_counter(), progress, response.status, body)
        except (aiohttp.ClientError, OSError, TimeoutError, UnverifiedConnectionError) as error:
            return _Answer(time.perf_counter(), progress, error=error)
        finally:
            self._met = self._met or progress.connected

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            kind = PeerConnector if self.verifier is None else VerifiedConnector
            address, context = self.address, self.credentials.context
            self._session = wire.session(address.host, address.port, kind, context)
        return self._session

    def _outcome(self, request: Request[ReplyT], answer: _Answer) -> ReplyT | errors.ClientError:
        if answer.error is None:
            return read_answer(request.reply, answer.status, answer.body)
        if answer.needs_verification:
            return errors.BusyError("servers end the connection as soon as they are verified")
        progress = answer.progress
        error = translate(
            answer.error,
            now=time.time(),
            connected=progress.connected,
            fresh=progress.began > 0,
            met=self._met,
        )
        error.__cause__ = answer.error
        return error

    def _connector(self) -> PeerConnector:
        connector = self._opened().connector
        if not isinstance(connector, PeerConnector):
            raise errors.ServerNotTrustedError("connections are not told apart")
        return connector


def read_answer(reply: type[ReplyT], status: int, body: bytes) -> ReplyT | errors.ClientError:
    """What an answer says."""
    try:
        if status >= _REFUSED:
            return errors.refusal(status, decode.json(body, ErrorBody).error)
        if status < _REDIRECTED:
            return decode.json(body, reply)
    except UnreadableError as error:
        return errors.UnexpectedAnswerError(f"the answer (HTTP {status}) is not as agreed: {error}")
    return errors.UnexpectedAnswerError(f"HTTP {status} is not an answer of this API")
