"""The pool against servers, volumes and operators that do anything in any order; the model is a few sets and dicts."""

import contextlib
from collections.abc import Iterable
from typing import Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app_wrapper.actions import (
    Action,
    Answer,
    AskToStop,
    Claim,
    Failed,
    Kill,
    Launch,
    Release,
    Report,
)
from app_wrapper.errors import AtCapacityError, DrainingError, NotRunningError
from app_wrapper.events import (
    Attested,
    Bound,
    DataClosed,
    DataOpened,
    Login,
    Logout,
    Nonsense,
    NotProved,
    Proved,
    Said,
    Waiting,
)
from app_wrapper.pool import Phase
from app_wrapper.process import Dedicated, Holding, Ordered
from standby.ids import BootId, Generation, Slot, Uid
from standby.lines import Denied, Volume
from standby.states import State, StopReason
from tests.support.pools import LIMITS, make_pool

USERS: Final = [Uid(name) for name in ("anna", "bert", "carla")]
CAPACITY: Final = 4
STARTS_PER_SECOND: Final = 2.0
SESSION: Final = 100.0
OPEN: Final = 30.0
BY: Final = Attested("off", {})
SELDOM: Final = st.sampled_from([False] * 9 + [True])
PICKS: Final = st.integers(0, CAPACITY)
SAYINGS: Final[st.SearchStrategy[Said]] = st.one_of(
    st.just(Waiting()),
    st.sampled_from(USERS).map(Login),
    st.sampled_from([StopReason.LOGOUT, StopReason.REFUSED]).map(Logout),
    st.just(Nonsense("?")),
    st.sampled_from([DataOpened(), DataClosed(), BY]),
    st.sampled_from(USERS).map(Bound),
    st.sampled_from(USERS).map(lambda uid: NotProved(uid, "login_proof_refused", "no")),
)
"""Any but `Proved`, which no server can say: the wrapper says it of a user who was there."""


class PoolMachine(RuleBasedStateMachine):
    """Any event may name any process that ever was; the world below is what really happened."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = make_pool(
            2,
            capacity=CAPACITY,
            concurrent_starts=2,
            starts_per_second=STARTS_PER_SECOND,
            session=SESSION,
            open=OPEN,
            channel=True,
        )
        self.bound: dict[BootId, Uid] = {}
        """To whom each server said first that it is bound, as the one that keeps nonces remembers it."""
        self.there: set[tuple[BootId, Uid]] = set()
        """Users who proved to log in, and where."""
        self.starts: list[float] = []
        self.now = 0.0
        self.slots: dict[BootId, Slot] = {}
        """Which slot each process occupies, until nothing of it is left."""
        self.exited: set[BootId] = set()
        self.claims: dict[BootId, Uid] = {}
        """Claims that were asked for; one per process for ever."""
        self.open_claims: set[BootId] = set()
        self.granted: dict[BootId, Generation] = {}
        self.released: set[BootId] = set()
        self.shown: dict[BootId, State] = {}
        """What was reported last."""
        self.tickets: dict[str, int] = {}
        self.liars: set[BootId] = set()
        """Processes that have a user and said something that no such process may say."""
        self.generations = 0
        self._do(self.pool.start(0.0))

    # The world carries actions out

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            self._do_one(action)

    def _do_one(self, action: Action) -> None:
        match action:
            case Launch(slot, boot_id, purpose):
                assert boot_id not in self.slots
                assert slot not in self.slots.values(), "two processes in one slot"
                self.slots[boot_id] = slot
                self.starts.append(self.now)
                assert len(self.slots) <= CAPACITY
                if isinstance(purpose, Ordered):
                    self.tickets[purpose.ticket] = self.tickets.get(purpose.ticket, 0) + 1
            case Claim(boot_id, uid):
                assert boot_id not in self.claims, "a process serves one user, once"
                process = self.pool.process(boot_id)
                assert process is not None
                own = isinstance(process.purpose, Dedicated) and process.purpose.uid == uid
                assert own or (boot_id, uid) in self.there, "the user never came"
                self.claims[boot_id] = uid
                self.open_claims.add(boot_id)
            case Answer(boot_id, Volume(path)):
                assert self.shown[boot_id] is State.ACTIVE, "the server was to stop"
                assert self.granted[boot_id]
                assert path == f"/{self.claims[boot_id]}", "another user's volume"
            case Release(boot_id, uid, generation):
                assert boot_id in self.exited, "the process may still write"
                assert self.granted.pop(boot_id) == generation
                assert self.claims[boot_id] == uid
                self.released.add(boot_id)
            case Report(process):
                self._check_report(process.boot_id, process.state)
            case Failed(_, error):
                raise error
            case Answer() | AskToStop() | Kill():
                pass

    def _check_report(self, boot_id: BootId, state: State) -> None:
        before = self.shown.get(boot_id)
        if before in {State.ACTIVE, State.STOPPED}:
            assert state in {before, State.STOPPED}, f"{before} became {state}"
        self.shown[boot_id] = state

    # What may happen

    def _pick(self, which: int, among: Iterable[BootId]) -> BootId:
        known = sorted(among)
        return known[which % len(known)]

    @precondition(lambda self: self.living)
    @rule(which=PICKS, uid=st.sampled_from(USERS), steps=st.integers(1, 4))
    def a_server_does_what_comes_next(self, which: int, uid: Uid, steps: int) -> None:
        boot_id = self._pick(which, self.living)
        for _ in range(steps):
            if boot_id in self.living:
                self._behave(boot_id, uid)

    def _behave(self, boot_id: BootId, uid: Uid) -> None:
        process = self.pool.process(boot_id)
        assert process is not None
        own = process.purpose.uid if isinstance(process.purpose, Dedicated) else None
        if process.port is None:
            self._do(self.pool.launched(boot_id, 4000, self.now))
        elif process.attestation is None:
            self._say(boot_id, BY)
        elif process.state is State.STARTING:
            self._say(boot_id, Login(own) if own else Waiting())
        elif process.state is State.READY:
            self._say(boot_id, Bound(uid))
            self._user_proves(boot_id, uid)
            self._say(boot_id, Login(uid))
        elif process.state is State.ACTIVE:
            self._say(boot_id, Logout())
        else:
            self._exit(boot_id)

    @precondition(lambda self: self.living)
    @rule(which=PICKS, said=SAYINGS)
    def a_server_says_anything(self, which: int, said: Said) -> None:
        self._say(self._pick(which, self.living), said)

    @precondition(lambda self: self.living)
    @rule(which=PICKS, uid=st.sampled_from(USERS))
    def a_user_proves_to_log_in(self, which: int, uid: Uid) -> None:
        self._user_proves(self._pick(which, self.living), uid)

    def _user_proves(self, boot_id: BootId, uid: Uid) -> None:
        """Their proof is verified only for the server that is bound to them, and once (`attesting.logins`)."""
        if self.bound.get(boot_id) == uid and (boot_id, uid) not in self.there:
            self.there.add((boot_id, uid))
            self._say(boot_id, Proved(uid))

    @precondition(lambda self: self.active)
    @rule(which=PICKS, uid=st.sampled_from(USERS))
    def an_active_server_says_login_again(self, which: int, uid: Uid) -> None:
        self._say(self._pick(which, self.active), Login(uid))

    @precondition(lambda self: self.living)
    @rule(which=PICKS)
    def a_server_dies(self, which: int) -> None:
        self._exit(self._pick(which, self.living))

    @precondition(lambda self: self.living)
    @rule(which=PICKS)
    def a_server_fills_its_directories(self, which: int) -> None:
        boot_id = self._pick(which, self.living)
        self._do(self.pool.overfull(boot_id, "too much", self.now))

    @precondition(lambda self: self.exited)
    @rule(which=PICKS, said=SAYINGS)
    def a_late_event_changes_nothing(self, which: int, said: Said) -> None:
        boot_id = self._pick(which, self.exited)
        late = self.pool.said(boot_id, said, self.now)
        late += self.pool.launched(boot_id, 5000, self.now) if boot_id not in self.slots else []
        late += self.pool.exited(boot_id, "again", self.now)
        late += self.pool.overfull(boot_id, "too much", self.now)
        assert late == []

    @precondition(lambda self: self.open_claims)
    @rule(which=PICKS, grant=st.booleans())
    def the_provider_answers(self, which: int, grant: bool) -> None:
        boot_id = self._pick(which, self.open_claims)
        self.open_claims.remove(boot_id)
        answer: Volume | Denied = Denied("claimed_elsewhere", "held")
        if grant:
            self.generations += 1
            self.granted[boot_id] = Generation(self.generations)
            answer = Volume(f"/{self.claims[boot_id]}", Generation(self.generations))
        elif boot_id in self.exited:
            del self.slots[boot_id]
        self._do(self.pool.answered(boot_id, answer, self.now))
        assert self.pool.answered(boot_id, answer, self.now) == []

    @precondition(lambda self: self.released)
    @rule(which=PICKS)
    def the_provider_has_released(self, which: int) -> None:
        boot_id = self._pick(which, self.released)
        self.released.remove(boot_id)
        del self.slots[boot_id]
        self._do(self.pool.released(boot_id, self.now))
        assert self.pool.released(boot_id, self.now) == []

    @property
    def living(self) -> set[BootId]:
        return self.slots.keys() - self.exited

    @property
    def active(self) -> set[BootId]:
        return {boot for boot in self.living if self.shown.get(boot) is State.ACTIVE}

    def _say(self, boot_id: BootId, said: Said) -> None:
        if isinstance(said, Bound):
            self.bound.setdefault(boot_id, said.uid)
        harmless = isinstance(said, Logout | DataOpened | DataClosed | Attested | NotProved)
        if boot_id in self.claims and not harmless:
            uid = self.claims[boot_id]
            self.liars |= {boot_id} if said not in {Login(uid), Bound(uid)} else set()
        self._do(self.pool.said(boot_id, said, self.now))

    def _exit(self, boot_id: BootId) -> None:
        """The slot stays taken as long as something is claimed in the process's name."""
        self.exited.add(boot_id)
        if boot_id not in self.open_claims and boot_id not in self.granted:
            del self.slots[boot_id]
        self._do(self.pool.exited(boot_id, "exit status 1", self.now))

    @rule(seconds=st.sampled_from([0.1, 1.0, 2.0, 5.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self._do(self.pool.tick(self.now))
        due = self.pool.next_deadline()
        assert due is None or due > self.now

    @rule(size=st.integers(0, CAPACITY + 1))
    def resize(self, size: int) -> None:
        try:
            self._do(self.pool.resize(size, self.now))
        except (AtCapacityError, DrainingError):
            assert size > CAPACITY or self.pool.draining

    @rule(number=st.integers(0, 3))
    def order(self, number: int) -> None:
        with contextlib.suppress(AtCapacityError, DrainingError, NotRunningError):
            self._do(self.pool.order(f"t{number}", self.now))

    @rule(uid=st.sampled_from(USERS))
    def dedicate(self, uid: Uid) -> None:
        with contextlib.suppress(AtCapacityError, DrainingError, NotRunningError):
            self._do(self.pool.dedicate(uid, self.now))

    @rule(sure=SELDOM)
    def stop(self, sure: bool) -> None:
        if sure:
            self._do(self.pool.stop(self.now))

    @rule()
    def start(self) -> None:
        try:
            self._do(self.pool.start(self.now))
        except DrainingError:
            assert self.pool.draining

    @rule(sure=SELDOM)
    def drain(self, sure: bool) -> None:
        if sure:
            self._do(self.pool.drain(self.now))

    # What must hold after every step

    @invariant()
    def there_are_never_more_processes_than_the_capacity(self) -> None:
        assert self.pool.roster.busy <= CAPACITY
        assert sum(not seat.leaving for seat in self.pool.roster) <= CAPACITY

    @invariant()
    def no_ready_process_holds_a_user(self) -> None:
        for seat in self.pool.roster:
            process = seat.process
            if process and process.state is State.READY:
                assert process.uid is None
                assert process.holding is Holding.NOTHING

    @invariant()
    def who_reads_a_users_requests_has_a_deadline(self) -> None:
        for seat in self.pool.roster:
            process = seat.process
            if process and process.state is State.READY and process.bound is not None:
                assert self.pool.next_deadline() is not None

    @invariant()
    def dedicated_servers_serve_their_own_user(self) -> None:
        for seat in self.pool.roster:
            if isinstance(seat.purpose, Dedicated) and seat.process and seat.process.uid:
                assert seat.process.uid == seat.purpose.uid

    @invariant()
    def a_ticket_starts_one_server(self) -> None:
        assert all(count == 1 for count in self.tickets.values())

    @invariant()
    def an_active_process_serves_the_user_it_claimed_for(self) -> None:
        for seat in self.pool.roster:
            if seat.process and seat.process.state is State.ACTIVE:
                assert seat.process.uid == self.claims[seat.process.boot_id]

    @invariant()
    def nobody_is_active_after_a_lie(self) -> None:
        assert not [boot for boot in self.liars if self.shown.get(boot) is State.ACTIVE]

    @invariant()
    def nobody_has_a_server_for_ever(self) -> None:
        for seat in self.pool.roster:
            process = seat.process
            if (
                process
                and process.state is State.ACTIVE
                and not isinstance(seat.purpose, Dedicated)
            ):
                assert self.now < process.since + SESSION

    @invariant()
    def starts_are_bounded(self) -> None:
        starting = [
            seat
            for seat in self.pool.roster
            if seat.process and seat.process.state is State.STARTING
        ]
        assert len(starting) <= 2

    @invariant()
    def starts_are_not_faster_than_allowed(self) -> None:
        """In any second: the bucket, and what ran into it meanwhile."""
        recent = [when for when in self.starts if when > self.now - 1.0]
        assert len(recent) <= 2 * STARTS_PER_SECOND

    @invariant()
    def a_slot_whose_turn_has_come_is_not_forgotten(self) -> None:
        if self.pool.phase is Phase.RUNNING and self.pool.roster.queued:
            full = self.pool.roster.busy >= CAPACITY
            assert full or self.pool.next_deadline() is not None

    @invariant()
    def what_waits_has_a_deadline(self) -> None:
        """Every process that must do something by itself is killed or ended if it does not."""
        waiting = [
            seat
            for seat in self.pool.roster
            if seat.process and seat.process.state is State.STARTING
        ]
        assert not waiting or self.pool.next_deadline() is not None

    def teardown(self) -> None:
        """Whatever happened before: when the world does its part, the wrapper can leave."""
        self._do(self.pool.drain(self.now))
        for _ in range(3):
            self.now += LIMITS["drain"] + LIMITS["stop"]
            self._do(self.pool.tick(self.now))
            while self.open_claims:
                self.the_provider_answers(0, grant=True)
            while self.living:
                self._exit(self._pick(0, self.living))
            while self.released:
                self.the_provider_has_released(0)
        assert self.pool.empty
        assert not self.granted
        assert not self.open_claims


TestPool = PoolMachine.TestCase
TestPool.settings = settings(max_examples=200, stateful_step_count=60, deadline=None)
