"""Carries out what the session decides: claims, opens, writes, closes, and says so to the wrapper.

Each step that reads or changes the session is synchronous; the waiting comes after it. LOGINs take turns, so that a
meter and a customer who arrive together share one claim and one open. A request's work is given to the database's
thread in the same step in which its token was checked, so the end of a session can never come in between.

The end, whatever its reason: no more connections, the work under way, the database closed, the answers under way, then
LOGOUT on stdout. A dedicated process (approach `trivial`) only closes the database and keeps listening.
"""

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from smartgrid_server.database import FILE_NAME, Database
from smartgrid_server.errors import (
    ClaimedElsewhereError,
    DatabaseSlowError,
    SessionOverError,
    UnknownUserError,
    VolumeUnavailableError,
    WrongKeyError,
)
from smartgrid_server.messages import LoginReply
from smartgrid_server.session import Phase, Session
from smartgrid_server.worker import Worker
from smartgrid_server.wrapper_link import WrapperLink
from standby import deadlines
from standby.errors import PlatformError
from standby.identity import Identity
from standby.ids import BootId, Uid
from standby.lines import Denied, Volume
from standby.logs import EventLog
from standby.secret import Secret
from standby.states import StopReason

T = TypeVar("T")
TOKEN_BYTES: Final = 32
log = EventLog(__name__)


class Service:
    """One user's session in this process; the methods are what its clients may ask for."""

    def __init__(
        self,
        session: Session,
        link: WrapperLink,
        worker: Worker,
        boot_id: BootId,
        volume_answer: float,
        keep_only: Callable[[Path], None] = lambda _volume: None,
    ) -> None:
        self._session = session
        self._link = link
        self._worker = worker
        self._boot_id = boot_id
        self._volume_answer = volume_answer
        self._keep_only = keep_only
        self._volume: Volume | None = None
        self._key_digest = b""
        self._logins = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._closing: asyncio.Future[None] | None = None
        self.over: asyncio.Future[StopReason] = self._loop.create_future()
        """Done when the process shall end; the database may still be closing."""

    async def claim(self, uid: Uid) -> None:
        """Ask the wrapper for the volume of the user this process is bound to.

        Raises:
            UnknownUserError, ClaimedElsewhereError, VolumeUnavailableError: it cannot be had; the session has ended.
            SessionOverError: this process was asked to stop meanwhile.
        """
        try:
            self._volume = _granted(await self._link.ask_volume(uid, self._volume_answer))
            self._keep_only(Path(self._volume.path))
            self._session.volume_given(self._volume.generation)
        except SessionOverError:
            self.end(StopReason.DRAINED)
            raise
        except BaseException:
            self.end(StopReason.REFUSED)
            raise

    async def login(self, caller: Identity, key: Secret, login_id: str | None = None) -> LoginReply:
        """Give the caller a token, once his key has opened the database or is the one that did; wipes `key`.

        A `login_id` that was used before means that the answer was lost; the token in it is taken back.
        `Session.bind` comes first, in the step in which the request was complete.

        Raises:
            WrongKeyError, SessionOverError: see there.
            PlatformError: the volume or the database cannot be had.
        """
        try:
            async with self._logins:
                if self._session.phase is Phase.CLAIMING:
                    await self.claim(caller.name)
                volume = await self._unlock(key)
                return self._welcome(caller, volume, login_id)
        finally:
            key.wipe()
            self._set_timer()

    async def logout(self, caller: Identity, token: str) -> bool:
        """Take the caller's token; True when that ended the session and the database is closed."""
        reason = self._session.logout(caller.name, caller.role, token, self._loop.time())
        if reason is None:
            self._set_timer()
            return False
        self._finish(reason)
        await self.closed()
        return True

    def check(self, caller: Identity, token: str) -> None:
        """Raise what `Session.authorise` raises, before a long body is read."""
        self._session.authorise(caller.name, caller.role, token, self._loop.time())

    async def work(self, caller: Identity, token: str, task: Callable[[Database], T]) -> T:
        """Do something with the database for the holder of the token.

        Raises:
            PlatformError: the token is not good, or the work failed.
            DatabaseSlowError: it took longer than any client waits; it may still be done.
        """
        self.check(caller, token)
        future = self._worker.submit(task)
        self._set_timer()
        try:
            async with asyncio.timeout(deadlines.CLIENT_REQUEST):
                return await asyncio.shield(future)
        except TimeoutError as error:
            raise DatabaseSlowError("the user's volume is too slow; try again") from error

    def end(self, reason: StopReason) -> None:
        """End the session from outside; nothing happens when it has ended already."""
        self._link.give_up()
        ended = self._session.end(reason)
        if ended is not None:
            self._finish(ended)

    async def closed(self) -> None:
        """Wait until the database of an ended session is closed.

        Raises:
            TimeoutError: the storage hangs.
        """
        if self._closing is not None:
            async with asyncio.timeout(deadlines.SERVER_CLOSE):
                await asyncio.shield(self._closing)

    async def _unlock(self, key: Secret) -> Volume:
        volume = self._volume
        if volume is None or self._session.phase is Phase.OVER:
            raise SessionOverError("this server's session has ended; connect again")
        digest = hashlib.sha256(key.reveal()).digest()
        if self._session.phase is Phase.LOCKED:
            await self._open(Path(volume.path) / FILE_NAME, key)
            self._key_digest = digest
        elif not hmac.compare_digest(digest, self._key_digest):
            raise WrongKeyError("the key is not the one that opened the database")
        return volume

    async def _open(self, file: Path, key: Secret) -> None:
        try:
            await self._worker.open(file, key)
        except WrongKeyError:
            self._finish_if(self._session.key_refused(self._loop.time()))
            raise
        except BaseException:
            self._finish_if(self._session.open_failed())
            raise
        self._session.opened()

    def _welcome(self, caller: Identity, volume: Volume, login_id: str | None) -> LoginReply:
        token = self._session.name(secrets.token_urlsafe(TOKEN_BYTES))
        expires_in = self._session.join(caller.role, token, self._loop.time(), login_id)
        log.info("client_joined", uid=caller.name, role=caller.role)
        return LoginReply(
            token=token,
            expires_in=expires_in,
            boot_id=self._boot_id,
            generation=volume.generation,
        )

    def _set_timer(self) -> None:
        """Wake up at the exact moment at which the session would end by itself."""
        if self._timer is not None:
            self._timer.cancel()
        deadline = self._session.deadline()
        self._timer = None if deadline is None else self._loop.call_at(deadline, self._tick)

    def _tick(self) -> None:
        self._finish_if(self._session.tick(self._loop.time()))
        self._set_timer()

    def _finish_if(self, reason: StopReason | None) -> None:
        if reason is not None:
            self._finish(reason)

    def _finish(self, reason: StopReason) -> None:
        """The session has ended: close the database after the work given so far, and say so."""
        log.info("session_ended", uid=self._session.uid, reason=reason)
        self._key_digest = b""
        self._closing = self._worker.close()
        self._set_timer()
        if self._session.phase is Phase.OVER and not self.over.done():
            self.over.set_result(reason)


def _granted(answer: Volume | Denied) -> Volume:
    if isinstance(answer, Denied):
        raise _denial(answer)
    return answer


def _denial(answer: Denied) -> PlatformError:
    kinds: dict[str, type[PlatformError]] = {
        kind.code: kind
        for kind in (UnknownUserError, ClaimedElsewhereError, VolumeUnavailableError)
    }
    text = answer.text or "the platform cannot provide the user's data"
    if answer.code in kinds:
        return kinds[answer.code](text)
    return VolumeUnavailableError(f"{text} ({answer.code})")
