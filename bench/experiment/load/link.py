"""One TLS connection of one session, for greenlets: blocking code of the standard library, which Locust has changed.

`smartgrid_client.connection` is asyncio's and cannot run here; both take their requests from the client's `requests`.
"""

import http.client
import socket
import ssl
import time
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import msgspec

from smartgrid_client import requests
from smartgrid_client.credentials import Credentials
from smartgrid_client.messages import Login, LoginChallenge
from smartgrid_client.requests import Request
from standby.messages import ErrorBody

_REFUSED = 400


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    """Of HTTP; 0 without an answer."""
    error: str
    """A stable code; empty if the answer is the one that was wanted."""
    body: bytes
    connect: float
    """Seconds for TCP, the wait for a server, and TLS; 0 on an open connection."""


class Link:
    """A connection that is opened by the first request."""

    def __init__(
        self, address: tuple[str, int], uid: str, context: ssl.SSLContext, timeout: float
    ) -> None:
        self._connection = _Connection(address, uid, context, timeout)

    def exchange(self, request: Request[Any], token: str) -> Answer:
        """Send one request once."""
        query = f"?{urlencode(request.query)}" if request.query else ""
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        connection = self._connection
        connection.connecting = 0.0
        try:
            connection.request(request.method, request.path + query, request.body, headers)
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return Answer(0, _code(error), b"", connection.connecting)
        return Answer(response.status, _refusal(response.status, body), body, connection.connecting)

    def log_in(self, request: Request[Login], credentials: Credentials) -> Answer:
        """Send a LOGIN once, with the proof that the server asks for; asking is part of it."""
        asked = self.exchange(requests.login_challenge(), "")
        if asked.error:
            return asked
        challenge = msgspec.json.decode(asked.body, type=LoginChallenge)
        certificate = self._connection.server_certificate()
        if not certificate:
            return Answer(0, "closed", b"", asked.connect)
        proof = credentials.prove(challenge, certificate)
        answer = self.exchange(request.with_proof(proof), "")
        return replace(answer, connect=asked.connect + answer.connect)

    def close(self) -> None:
        self._connection.close()


class _Connection(http.client.HTTPConnection):
    """To the load balancer's address, for the user's name."""

    def __init__(
        self, address: tuple[str, int], uid: str, context: ssl.SSLContext, timeout: float
    ) -> None:
        super().__init__(uid, timeout=timeout)
        self.connecting = 0.0
        self._address = address
        self._context = context

    def connect(self) -> None:
        began = time.perf_counter()
        raw = socket.create_connection(self._address, self.timeout)
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sock = self._context.wrap_socket(raw, server_hostname=self.host)
        except BaseException:
            raw.close()
            raise
        finally:
            self.connecting = time.perf_counter() - began

    def server_certificate(self) -> bytes:
        """In DER; empty without a connection."""
        if not isinstance(self.sock, ssl.SSLSocket):
            return b""
        return self.sock.getpeercert(binary_form=True) or b""


def _refusal(status: int, body: bytes) -> str:
    if status < _REFUSED:
        return ""
    try:
        return msgspec.json.decode(body, type=ErrorBody).error.code
    except msgspec.DecodeError:
        return f"http_{status}"


def _code(error: Exception) -> str:
    match error:
        case TimeoutError():
            return "timeout"
        case ConnectionRefusedError():
            return "refused"
        case ssl.SSLError():
            return "tls"
        case ConnectionError() | http.client.HTTPException():
            return "closed"
        case _:
            return "system"
