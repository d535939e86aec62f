"""The session against a simple model, under any order of events.

Model: who owns the process, which tokens were given out (to whom, until when), which of them were logged out, and
whether the session is open. Nothing else may decide what is allowed.
"""

from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from smartgrid_server.errors import (
    ConflictError,
    ServerTakenError,
    SessionOverError,
    UnauthorizedError,
)
from smartgrid_server.session import Limits, Phase, Session
from standby.identity import Role
from standby.ids import Generation, Uid
from standby.states import StopReason

GENERATION = Generation(7)
LIMITS = Limits(length=100, most=150, idle=40, login=8, retry=15, tries=3, members=1000)
uids = st.sampled_from([Uid("alice"), Uid("bob"), Uid("carol")])
roles = st.sampled_from([Role.CUSTOMER, Role.METER])
indices = st.integers(0, 30)


@dataclass
class Given:
    role: Role
    until: float
    good: bool = True


class SessionMachine(RuleBasedStateMachine):
    @initialize(dedicated=st.none() | uids)
    def start(self, dedicated: Uid | None) -> None:
        self.session = Session(LIMITS, dedicated=dedicated)
        self.dedicated = dedicated is not None
        self.now = 0.0
        self.owner = dedicated
        self.tokens: dict[str, Given] = {}
        self.active = 0.0
        self.began = 0.0
        """When the open session had its first token."""
        self.over = False
        self.open = False
        self.claiming = self.dedicated

    def _ended(self, reason: StopReason) -> None:
        goes_on = self.dedicated and self.open and reason is not StopReason.DRAINED
        self.over, self.open, self.claiming = not goes_on, False, False
        for each in self.tokens.values():
            each.good = False

    def _good(self, token: str, role: Role) -> bool:
        known = self.tokens.get(token)
        return (
            known is not None
            and known.good
            and known.role is role
            and self.now < known.until
            and self.now < self.active + LIMITS.idle
        )

    @rule(uid=uids)
    def bind(self, uid: Uid) -> None:
        try:
            self.session.bind(uid, self.now)
        except ServerTakenError:
            assert self.owner not in {None, uid}
        except SessionOverError:
            assert self.over
        else:
            assert not self.over
            assert self.owner in {None, uid}
            self.owner = uid

    @rule(uid=uids)
    def log_in(self, uid: Uid) -> None:
        """With a proof that the wrapper has accepted, which there is only of the user to whom it is bound."""
        bound = self.session.phase is Phase.BOUND
        try:
            self.session.log_in(uid)
        except ServerTakenError:
            assert self.owner not in {None, uid}
        except SessionOverError:
            assert self.over
        else:
            assert (self.session.phase is Phase.CLAIMING) == (bound or self.claiming)
            self.claiming |= bound

    @precondition(lambda self: self.session.phase is Phase.CLAIMING)
    @rule(granted=st.booleans())
    def volume(self, *, granted: bool) -> None:
        self.claiming = False
        if granted:
            self.session.volume_given(GENERATION)
        else:
            assert self.session.end(StopReason.REFUSED)
            self._ended(StopReason.REFUSED)

    @precondition(lambda self: self.session.phase is Phase.LOCKED)
    @rule(right=st.booleans(), role=roles)
    def key(self, role: Role, *, right: bool) -> None:
        if right:
            self.session.opened()
            self._join(role)
        elif reason := self.session.key_refused(self.now):
            assert not self.dedicated
            self._ended(reason)

    @precondition(lambda self: self.session.phase is Phase.OPEN)
    @rule(role=roles)
    def join(self, role: Role) -> None:
        reason = self.session.tick(self.now)
        if reason is None:
            self._join(role)
        else:
            self._ended(reason)

    def _join(self, role: Role) -> None:
        token = f"token-{len(self.tokens)}"
        self.began = self.began if self.open else self.now
        length = self.session.join(role, token, self.now)
        assert length == min(LIMITS.length, self.began + LIMITS.most - self.now)
        self.tokens[token] = Given(role, self.now + length)
        self.active, self.open = self.now, True

    @rule(uid=uids, role=roles, index=indices, leave=st.booleans())
    def call(self, uid: Uid, role: Role, index: int, *, leave: bool) -> None:
        token = f"token-{index}"
        allowed = uid == self.owner and self._good(token, role)
        reason = None
        try:
            if leave:
                reason = self.session.logout(uid, role, token, self.now)
            else:
                self.session.authorise(uid, role, token, self.now)
        except (UnauthorizedError, ConflictError):
            assert not allowed
            return
        assert allowed
        self.active = self.now
        if leave:
            self.tokens[token].good = False
            others = [each for each in self.tokens.values() if each.good and each.until > self.now]
            assert (reason is StopReason.LOGOUT) == (not others)
        if reason:
            self._ended(reason)

    @rule(seconds=st.sampled_from([0.0, 1.0, 10.0, 39.0, 41.0, 99.0]), punctual=st.booleans())
    def time_passes(self, seconds: float, *, punctual: bool) -> None:
        """The timer may be late: until it runs, nothing may be allowed that it would have ended."""
        deadline = self.session.deadline()
        self.now += seconds
        if punctual:
            reason = self.session.tick(self.now)
            assert (reason is not None) == (deadline is not None and self.now >= deadline)
            if reason:
                self._ended(reason)

    @rule(reason=st.sampled_from([StopReason.DRAINED]))
    @precondition(lambda self: self.now > 50)
    def stop(self, reason: StopReason) -> None:
        if self.session.end(reason):
            self._ended(reason)

    @invariant()
    def one_user_only(self) -> None:
        assert self.session.uid == self.owner
        for uid in ("alice", "bob", "carol"):
            assert self.session.serves(Uid(uid)) == (self.owner in {None, uid})

    @invariant()
    def over_is_over(self) -> None:
        assert (self.session.phase is Phase.OVER) == self.over
        assert (self.session.phase is Phase.OPEN) == self.open

    @invariant()
    def no_user_without_an_end_in_sight(self) -> None:
        if self.session.phase is Phase.BOUND:
            assert self.session.deadline() is not None
        if self.session.phase is Phase.OPEN:
            deadline = self.session.deadline()
            assert deadline is not None
            assert deadline <= self.began + LIMITS.most


TestSession = SessionMachine.TestCase
