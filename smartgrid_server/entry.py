"""From a user's first connection to LOGIN: the process becomes theirs, and they prove that they log in.

    the handshake is over    the process is bound to the user of the certificate, and the wrapper is told so
    requests are read        evidence, what a LOGIN has to prove, LOGIN
    LOGIN with its proof     the wrapper believes it, and takes the process's LOGIN from then on (`Service.login`)

One user at a time, and one user only: who comes while the process is another user's is refused. A user who does not log
in soon ends the process, as nobody else may have it. Those who join an open session need no proof: the volume is
claimed, and what they have to show is certificate and key.
"""

import asyncio

from smartgrid_server.errors import ProofRequiredError, StaleChallengeError
from smartgrid_server.messages import LoginChallenge
from smartgrid_server.proving import Prover, Shown
from smartgrid_server.service import Service
from smartgrid_server.session import Phase, Session
from standby.errors import PlatformError
from standby.ids import BootId, Uid
from standby.states import StopReason


class Entry:
    """One process's; `service` is what comes after LOGIN."""

    def __init__(self, session: Session, service: Service, prover: Prover, boot_id: BootId) -> None:
        self._session = session
        self._service = service
        self._prover = prover
        self._boot_id = boot_id
        self._loop = asyncio.get_running_loop()
        self._binding: asyncio.Task[str | None] | None = None
        """Gives the nonce for LOGIN, once the wrapper knows to whom the process is bound."""
        self._proving = asyncio.Lock()

    @property
    def before_login(self) -> bool:
        """Whether all that a client may do here now is to ask for evidence and to log in."""
        return self._session.before_login

    async def bind(self, uid: Uid) -> None:
        """The process is `uid`'s, and its wrapper knows it, when this returns; before that nothing of theirs is read.

        Raises:
            ServerTakenError, SessionOverError: see `Session.bind`.
            ProofUnavailableError: the wrapper cannot be told; the process ends.
        """
        self._session.bind(uid, self._loop.time())
        self._service.set_timer()
        if self._session.phase is not Phase.BOUND:
            return
        if self._binding is None:
            self._binding = self._loop.create_task(self._tell_wrapper(uid), name="bind")
            self._binding.add_done_callback(_looked_at)
        await asyncio.shield(self._binding)

    def challenge(self) -> LoginChallenge:
        """What a LOGIN has to prove now."""
        nonce = None
        if self._session.phase is Phase.BOUND and self._binding and self._binding.done():
            nonce = self._binding.result()
        return LoginChallenge(boot_id=self._boot_id, nonce=nonce)

    async def prove(self, uid: Uid, shown: Shown | None) -> None:
        """A LOGIN may go on when this returns: the first one because the wrapper believes its proof.

        Raises:
            ServerTakenError, SessionOverError: this process is of no use to the user.
            ProofRequiredError, StaleChallengeError, ProofRefusedError, ProofUnavailableError: LOGIN is not proved.
        """
        async with self._proving:
            self._session.check_user(uid)
            nonce = self.challenge().nonce
            if nonce is not None:
                await self._prover.prove(_fitting(shown, nonce))
            self._session.log_in(uid)
            self._service.set_timer()

    async def close(self) -> None:
        """The wrapper is told nothing more."""
        if self._binding is not None:
            self._binding.cancel()
            await asyncio.wait([self._binding])

    async def _tell_wrapper(self, uid: Uid) -> str | None:
        """A process whose wrapper does not know whose it is ends."""
        try:
            return await self._prover.bind(uid)
        except PlatformError:
            self._service.end(StopReason.REFUSED)
            raise


def _fitting(shown: Shown | None, nonce: str) -> Shown:
    if shown is None:
        raise ProofRequiredError("LOGIN needs a proof; see GET /v1/login-challenge")
    if shown.nonce != nonce:
        raise StaleChallengeError(
            "the proof is for another server process; ask this one for its challenge"
        )
    return shown


def _looked_at(task: asyncio.Task[str | None]) -> None:
    """An error is told to those who wait, if any still does."""
    if not task.cancelled():
        task.exception()
