"""Carries out what the session decides: claims, opens, writes, closes, and says so to the wrapper.

Each step that reads or changes the session is synchronous; the waiting comes after it. LOGINs take turns, so that a
meter and a customer who arrive together share one claim and one open. A request's work is given to the database's
thread in the same step in which its token was checked, so the end of a session can never come in between.

The end, whatever its reason: no more connections, the work under way, the database closed and its tag on record, the
answers under way, then LOGOUT on stdout. A dedicated process (approach `trivial`) only closes the database and keeps
listening. What is known of the data is compared before the key is tried, and nothing is written before it is on record
that something may be (`freshness`).

Of the key nothing stays but its digest, until the session ends; see `cipher` for where it was in between.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from smartgrid_server.database import FILE_NAME, Database
from smartgrid_server.errors import (
    ClaimedElsewhereError,
    DatabaseSlowError,
    SessionOverError,
    UnknownUserError,
    VolumeDamagedError,
    VolumeOverLimitError,
    VolumeUnavailableError,
    WrongKeyError,
    stop_reason,
)
from smartgrid_server.freshness import FreshnessLink, Guard, Judgement, NoLink
from smartgrid_server.messages import DataTag, LoginReply, LogoutReply
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


@dataclass(frozen=True, slots=True)
class Wish:
    """What comes with the key of a LOGIN."""

    login_id: str | None = None
    """One that was used before means that the answer was lost; the token in it is taken back."""
    freshness: DataTag | None = None
    """What the client was told at its last LOGOUT."""
    accept_older: bool = False


_NO_WISH: Final = Wish()
_DENIALS: Final = {
    kind.code: kind
    for kind in (
        UnknownUserError,
        ClaimedElsewhereError,
        VolumeUnavailableError,
        VolumeDamagedError,
        VolumeOverLimitError,
    )
}
"""By the wrapper's code."""


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
        freshness: FreshnessLink | None = None,
    ) -> None:
        """`freshness` keeps what the user's data was; without one only what his clients keep is compared."""
        self._session = session
        self._link = link
        self._worker = worker
        self._boot_id = boot_id
        self._volume_answer = volume_answer
        self._keep_only = keep_only
        self._guard = Guard(freshness or NoLink())
        self._volume: Volume | None = None
        self._key_digest = Secret(b"")
        self._logins = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._closing: asyncio.Future[bytes | None] | None = None
        """The database of the session that has ended, and its tag."""
        self._leaving: asyncio.Task[DataTag | None] | None = None
        self._telling: set[asyncio.Task[None]] = set()
        """What the wrapper is being told; may take longer than the end of a session."""
        self._last_word: StopReason | None = None
        """Why the process ends as soon as nobody is logged in."""
        self.over: asyncio.Future[StopReason] = self._loop.create_future()
        """Done when the process shall end; the database may still be closing."""

    async def claim(self, uid: Uid) -> None:
        """Ask the wrapper for the volume of the user this process is bound to.

        Raises:
            One of `_DENIALS`: it cannot be had; the session has ended.
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

    async def login(self, caller: Identity, key: Secret, wish: Wish = _NO_WISH) -> LoginReply:
        """Give the caller a token, once his key has opened the database or is the one that did; wipes `key`.

        `Entry.prove` comes first.

        Raises:
            WrongKeyError, SessionOverError: see there.
            OlderDataError: the data is not the newest, and the caller does not accept that.
            PlatformError: the volume, the database or what is known of it cannot be had.
        """
        try:
            async with self._logins:
                if self._session.phase is Phase.CLAIMING:
                    await self.claim(caller.name)
                volume, judgement = await self._unlock(key, wish)
                return self._welcome(caller, volume, judgement, wish.login_id)
        finally:
            key.wipe()
            self.set_timer()

    async def logout(self, caller: Identity, token: str) -> LogoutReply:
        """Take the caller's token; if that ended the session, the database is closed and the reply has its tag."""
        reason = self._session.logout(caller.name, caller.role, token, self._loop.time())
        if reason is None:
            self.set_timer()
            return LogoutReply(ended=False)
        self._finish(reason)
        return LogoutReply(ended=True, freshness=await self.closed())

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
        self.set_timer()
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

    @property
    def idle(self) -> bool:
        """Whether no user is logged in: none has come, or theirs is awaited, or this is between two sessions."""
        return self._session.before_login or (
            self._session.phase is Phase.LOCKED and self._session.dedicated
        )

    def end_when_idle(self, reason: StopReason) -> None:
        """End the process, now or when the session under way has ended; until then nothing changes for its clients."""
        self._last_word = reason
        if self.idle:
            self.end(reason)

    async def hush(self) -> None:
        """Nothing more is told to the wrapper, because the process ends."""
        for telling in self._telling:
            telling.cancel()
        if self._telling:
            await asyncio.wait(self._telling)

    async def closed(self) -> DataTag | None:
        """Wait until the database of an ended session is closed and that is on record, or cannot be in time.

        Gives what a client may keep.

        Raises:
            TimeoutError: the storage hangs.
        """
        if self._closing is None or self._leaving is None:
            return None
        async with asyncio.timeout(deadlines.SERVER_CLOSE):
            await asyncio.shield(self._closing)
        return await asyncio.shield(self._leaving)  # which has a deadline of its own

    async def _unlock(self, key: Secret, wish: Wish) -> tuple[Volume, Judgement]:
        volume = self._volume
        if volume is None or self._session.phase is Phase.OVER:
            raise SessionOverError("this server's session has ended; connect again")
        digest = Secret(hashlib.sha256(key.reveal()).digest())
        if self._session.phase is Phase.LOCKED:
            judgement = await self._open(volume, key, wish)
            self._key_digest = digest
        elif digest != self._key_digest:
            raise WrongKeyError("the key is not the one that opened the database")
        else:
            judgement = self._judge(wish)
        return volume, judgement

    async def _open(self, volume: Volume, key: Secret, wish: Wish) -> Judgement:
        file = Path(volume.path) / FILE_NAME
        try:
            await self._look(volume, file)
            judgement = self._judge(wish)
            outdated = await self._worker.open(file, key)
            self._check_locked()
            await self._guard.opened()
            if outdated:
                await self._worker.submit(Database.bring_up_to_date)
                log.info("database_brought_up_to_date", uid=self._session.uid)
        except WrongKeyError:
            self._finish_if(self._session.key_refused(self._loop.time()))
            raise
        except BaseException as error:
            reason = self._session.open_failed(stop_reason(error))
            if reason is None:
                self._close()  # the process goes on, or was asked to end before the database was open
            else:
                self._finish(reason)
            raise
        self._session.opened()
        return judgement

    async def _look(self, volume: Volume, file: Path) -> None:
        """What is there and what is known of it, after this process's own last session."""
        try:
            await self.closed()
        except TimeoutError as error:
            raise DatabaseSlowError("the user's volume is too slow; try again") from error
        uid = self._session.uid
        assert uid is not None  # noqa: S101  # whoever logs in is bound
        await self._guard.look(uid, volume.generation, self._worker.look(file))

    def _judge(self, wish: Wish) -> Judgement:
        return self._guard.judge(wish.freshness, accept_older=wish.accept_older)

    def _check_locked(self) -> None:
        if self._session.phase is not Phase.LOCKED:
            raise SessionOverError("this server's session has ended; connect again")

    def _welcome(
        self, caller: Identity, volume: Volume, judgement: Judgement, login_id: str | None
    ) -> LoginReply:
        token = self._session.name(secrets.token_urlsafe(TOKEN_BYTES))
        expires_in = self._session.join(caller.role, token, self._loop.time(), login_id)
        log.info("client_joined", uid=caller.name, role=caller.role, freshness=judgement.freshness)
        return LoginReply(
            token=token,
            expires_in=expires_in,
            boot_id=self._boot_id,
            generation=volume.generation,
            freshness=judgement.freshness,
            freshness_text=judgement.text,
        )

    def set_timer(self) -> None:
        """Wake up at the exact moment at which the session would end by itself."""
        if self._timer is not None:
            self._timer.cancel()
        deadline = self._session.deadline()
        self._timer = None if deadline is None else self._loop.call_at(deadline, self._tick)

    def _tick(self) -> None:
        self._finish_if(self._session.tick(self._loop.time()))
        self.set_timer()

    def _finish_if(self, reason: StopReason | None) -> None:
        if reason is not None:
            self._finish(reason)

    def _finish(self, reason: StopReason) -> None:
        """The session has ended: close the database after the work given so far, and say so."""
        log.info("session_ended", uid=self._session.uid, reason=reason)
        self._key_digest.wipe()
        self._close()
        self.set_timer()
        if self._session.phase is Phase.OVER and not self.over.done():
            self.over.set_result(reason)
        if self._last_word is not None:
            self.end_when_idle(self._last_word)

    def _close(self) -> None:
        deadline = self._loop.time() + deadlines.SERVER_CLOSE
        self._closing = self._worker.close()
        leave = self._leave(self._leaving, self._closing, deadline)
        self._leaving = self._loop.create_task(leave, name="leave")

    async def _leave(
        self,
        before: asyncio.Task[DataTag | None] | None,
        closing: asyncio.Future[bytes | None],
        deadline: float,
    ) -> DataTag | None:
        """The database's tag goes on record; if that fails, nothing will be known of it at the next LOGIN."""
        tag = await closing
        if before is not None:
            await asyncio.wait({before})
        if tag is None or self._volume is None:
            return None
        await self._tell_until(deadline, tag)
        if self._session.dedicated:
            return None
        return DataTag(generation=self._volume.generation, tag=tag)

    async def _tell_until(self, deadline: float, tag: bytes) -> None:
        """Wait no longer than that; the question goes on to its own end, else the channel would be lost with it."""
        telling = self._loop.create_task(self._tell(tag), name="tell-left")
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)
        done, _ = await asyncio.wait({telling}, timeout=max(deadline - self._loop.time(), 0))
        if done:
            telling.result()
        else:
            text = "the wrapper has not answered in time; it may still keep it"
            log.warning("tag_not_on_record", uid=self._session.uid, text=text)

    async def _tell(self, tag: bytes) -> None:
        try:
            await self._guard.left(tag)
        except PlatformError as error:
            log.warning("tag_not_on_record", uid=self._session.uid, text=str(error))


def _granted(answer: Volume | Denied) -> Volume:
    if isinstance(answer, Denied):
        raise _denial(answer)
    return answer


def _denial(answer: Denied) -> PlatformError:
    text = answer.text or "the platform cannot provide the user's data"
    if answer.code in _DENIALS:
        return _DENIALS[answer.code](text)
    return VolumeUnavailableError(f"{text} ({answer.code})")
