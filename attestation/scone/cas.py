"""Sessions in a CAS, by its REST API: put one there, read one, read what one exports publicly.

Port 8081, TLS with a client certificate: the key of the certificate is who the CAS takes as creator. SCONE's examples
call it with `curl -k`; here the server's certificate is always checked. It is self-made by the CAS, so attest the CAS
first (`scone cas attest`), take its certificate (`scone cas show-certificate`), and give that as the authority.

Documented: the paths, that the answer to an upload holds the session's hash, the shape of an error (`{"msg": [...]}`)
and the words with which an existing name is refused. Not documented: status codes, the exact shape of the answer, the
words with which an outdated predecessor is refused. So any status outside 2xx is a refusal, the hash is the field
`hash` of a JSON answer or else the one group of 64 hex digits in it, and a refusal that speaks of a predecessor is a
`PredecessorError`. That an exported value is the answer's field `value` is taken from SCONE's published examples.

Only this module needs aiohttp here; a waiting server does not import it.

    PlatformError
    ├── BadRequestError ── CasRefusedError ── PredecessorError
    ├── BadRequestError ── SessionNameError
    └── UnavailableError ── CasUnreachableError
"""

import re
import ssl
from collections.abc import Mapping
from typing import Annotated, Final
from urllib.parse import quote

import aiohttp
from msgspec import Meta, Struct
from yarl import URL

from attestation.scone import vocabulary
from standby import decode
from standby.decode import UnreadableError
from standby.errors import BadRequestError, UnavailableError

PORT: Final = 8081
_LIMIT: Final = 1 << 20
"""Bytes of an answer; a session is a few kilobytes."""
_HASH: Final = re.compile(r"(?<![0-9a-fA-F])[0-9a-fA-F]{64}(?![0-9a-fA-F])")
_NAME: Final = re.compile(vocabulary.SESSION_NAME)
_SECRET: Final = re.compile(vocabulary.SEGMENT)
_SHOWN: Final = 500


class CasRefusedError(BadRequestError):
    """The CAS answered, and the answer is no; the message is its own."""

    code = "cas_refused"

    def __init__(self, message: str, answer_status: int) -> None:
        super().__init__(message)
        self.answer_status = answer_status


class PredecessorError(CasRefusedError):
    """The session exists, and the predecessor named is not its present version, or none is named.

    Somebody else changed it, or it is uploaded again: read it, compare, name the present hash as predecessor.
    """

    code = "cas_predecessor"


class SessionNameError(BadRequestError):
    """A name that is not a session's, or not a secret's."""

    code = "bad_session_name"


class CasUnreachableError(UnavailableError):
    """No answer that can be used: no connection, not the CAS that was attested, too late, or not understood."""

    code = "cas_unreachable"
    status = 502


class _Messages(Struct):
    msg: Annotated[list[Annotated[str, Meta(max_length=_LIMIT)]], Meta(max_length=1000)]


class _Stored(Struct):
    hash: Annotated[str, Meta(max_length=200)]


class _Exported(Struct):
    value: Annotated[str, Meta(max_length=_LIMIT)]


class CasClient:
    """Calls to one CAS; `timeout` is seconds for one call with its connection."""

    def __init__(self, url: str, tls: ssl.SSLContext, *, timeout: float) -> None:
        self._url = url.rstrip("/")
        self._tls = tls
        self._timeout = aiohttp.ClientTimeout(total=timeout)

    async def upload(self, text: str) -> str:
        """Put a session there, or a new version of it; its hash, which the next version names as predecessor.

        Raises:
            PredecessorError: the name is taken, and the session does not name the version that is there.
            CasRefusedError: it is refused for another reason.
            CasUnreachableError: nothing is known; it may have been stored.
        """
        answer = await self._call("POST", "/v1/sessions", body=text.encode())
        hashes = set(_HASH.findall(_hash_field(answer)))
        if len(hashes) != 1:
            raise CasUnreachableError(f"the CAS's answer holds no hash: {answer[:_SHOWN]!r}")
        return str(hashes.pop()).lower()

    async def read(self, name: str, session_hash: str | None = None) -> str:
        """The session of that name as the CAS has it; `session_hash` says which version is expected.

        Raises:
            SessionNameError: not a session's name.
            CasRefusedError: there is none, or not for the holder of this certificate.
            CasUnreachableError: nothing is known.
        """
        query = {} if session_hash is None else {"hash": session_hash}
        return await self._call("GET", f"/v1/sessions/{_quoted(name)}", query)

    async def exported(self, name: str, secret: str) -> str:
        """What the session of that name exports to everybody as `secret`; a certificate is PEM.

        Raises:
            SessionNameError: not a session's name, or not a secret's.
            CasRefusedError: there is none, or it is not exported.
            CasUnreachableError: nothing is known.
        """
        if not _SECRET.fullmatch(secret):
            raise SessionNameError(f"not a secret's name: {secret[:80]!r}")
        path = f"/v1/values/session={_quoted(name)},secret={quote(secret, safe='~')}"
        answer = await self._call("GET", path)
        try:
            return decode.json(answer, _Exported).value
        except UnreadableError as error:
            raise CasUnreachableError(f"the CAS's answer holds no value: {error}") from error

    async def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> str:
        # not force_close: a connection closed before the session is, is not waited for at its end
        connector = aiohttp.TCPConnector(ssl=self._tls, limit=1)
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=self._timeout) as session,
                session.request(
                    method,
                    URL(self._url + path, encoded=True).with_query(query),
                    data=body,
                    headers={"Content-Type": "text/plain"},
                    allow_redirects=False,
                ) as response,
            ):
                return _answer(response.status, await _content(response))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            reason = str(error) or type(error).__name__
            raise CasUnreachableError(f"no answer from the CAS at {self._url}: {reason}") from error


def _quoted(name: str) -> str:
    if not _NAME.fullmatch(name) or {".", ".."} & set(name.split("/")):
        raise SessionNameError(f"not a session's name: {name[:80]!r}")
    return quote(name, safe="/~")


async def _content(response: aiohttp.ClientResponse) -> str:
    content = await response.content.read(_LIMIT + 1)
    while len(content) <= _LIMIT and (more := await response.content.read(_LIMIT)):
        content += more
    if len(content) > _LIMIT:
        raise CasUnreachableError(f"the CAS's answer is over {_LIMIT} bytes")
    return content.decode(errors="replace")


def _answer(status: int, content: str) -> str:
    if 200 <= status < 300:  # noqa: PLR2004  # the class of statuses that mean success
        return content
    message = f"the CAS refuses ({status}): {_message(content)}"
    if "predecessor" in content.lower():
        raise PredecessorError(message, status)
    raise CasRefusedError(message, status)


def _hash_field(answer: str) -> str:
    try:
        return decode.json(answer, _Stored).hash
    except UnreadableError:
        return answer


def _message(content: str) -> str:
    try:
        said = "; ".join(decode.json(content, _Messages).msg)
    except UnreadableError:
        said = content
    return said[:_SHOWN]
