"""The wrapper's end of one server's channel: a request comes, it is answered, until the server is gone.

What breaks the rules of the channel ends it, and the server learns that by its end. Requests are answered in a thread,
one at a time and at a bounded rate, so a server that asks without end waits for its wrapper.
"""

import asyncio
import socket
import time
from typing import Final

from app_wrapper.attesting.attended import Attended, Tell
from app_wrapper.attesting.registrar import Registrar
from app_wrapper.bucket import Bucket, spend
from app_wrapper.events import NotAttested, Said
from attestation.issuing import messages
from attestation.issuing.messages import Answer, Refused
from standby.decode import UnreadableError
from standby.logs import EventLog

AT_ONCE: Final = 100
RATE: Final = 20.0
"""Requests a second that are answered to one server, each of which keeps a thread for up to some milliseconds. A
session takes eight."""
_BROKEN: Final = "its channel broke the rules"
log = EventLog(__name__)


async def attend(sock: socket.socket, server: Attended, registrar: Registrar, tell: Tell) -> None:
    """Answer until the server closes its end; `tell` is called on the event loop."""
    loop = asyncio.get_running_loop()
    allowed = Bucket(AT_ONCE, RATE)
    sock.settimeout(0)
    try:
        while packet := await loop.sock_recv(sock, messages.LONGEST):
            answer = await _answered(packet, server, registrar, tell)
            await loop.sock_sendall(sock, messages.encode(answer))
            await spend(allowed)
    except (ConnectionError, UnreadableError) as error:
        log.warning("channel_ended", boot_id=server.boot_id, text=str(error))
        if isinstance(error, UnreadableError):
            tell(NotAttested("broken_channel", _BROKEN, lasting=True))
    finally:
        sock.close()  # so that a server that is still there learns of it
        registrar.gone(server.boot_id)


async def _answered(packet: bytes, server: Attended, registrar: Registrar, tell: Tell) -> Answer:
    """The answer, and what was learned is told before it is given.

    Raises:
        UnreadableError: the packet holds no request.
    """
    request = messages.read_request(packet)
    learned: list[Said] = []
    try:
        answer = await asyncio.to_thread(registrar.answer, server, request, learned.append)
    except Exception as error:  # noqa: BLE001  # the server must not wait for an answer that never comes
        before = server.failures.admit(type(error).__name__, time.monotonic())
        if before is not None:
            log.error(
                "request_failed", error=error, boot_id=server.boot_id, not_logged_before=before
            )
        answer = Refused("attestation_failed", "the wrapper failed; its log says how")
    for said in learned:
        tell(said)
    return answer
