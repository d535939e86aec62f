"""The pool against servers, volumes and operators that do anything in any order; the model is a few sets and dicts."""

from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from app_wrapper.actions import Action, Answer, AskToStop, Claim, Kill, Launch, Release, Report
from app_wrapper.errors import AtCapacityError, DrainingError, NotRunningError
from app_wrapper.events import Login, Logout, Nonsense, Said, Waiting
from app_wrapper.process import Dedicated, Holding, Ordered
from standby.ids import BootId, Generation, Slot, Uid
from standby.lines import Denied, Volume
from standby.states import State, StopReason
from tests.support.pools import LIMITS, make_pool

USERS: Final = [Uid(name) for name in ("anna", "bert", "carla")]
CAPACITY: Final = 4
SAYINGS: Final[st.SearchStrategy[Said]] = st.one_of(
    st.just(Waiting()),
    st.sampled_from(USERS).map(Login),
    st.sampled_from([StopReason.LOGOUT, StopReason.REFUSED]).map(Logout),
    st.just(Nonsense("?")),
)


class PoolMachine(RuleBasedStateMachine):
    """Any event may name any process that ever was; the world below is what really happened."""

    boots = Bundle("boots")

    def __init__(self) -> None:
        super().__init__()
        self.pool = make_pool(2, capacity=CAPACITY, concurrent_starts=2)
        self.now = 0.0
        self.slots: dict[BootId, Slot] = {}
        """Processes that exist and have not exited."""
        self.exited: set[BootId] = set()
        self.claims: dict[BootId, Uid] = {}
        """Claims that were asked for; one per process for ever."""
        self.open_claims: set[BootId] = set()
        self.granted: dict[BootId, Generation] = {}
        self.released: set[BootId] = set()
        self.shown: dict[BootId, State] = {}
        """What was reported last."""
        self.tickets: dict[str, int] = {}
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
                if isinstance(purpose, Ordered):
                    self.tickets[purpose.ticket] = self.tickets.get(purpose.ticket, 0) + 1
            case Claim(boot_id, uid):
                assert boot_id not in self.claims, "a process serves one user, once"
                self.claims[boot_id] = uid
                self.open_claims.add(boot_id)
            case Answer(boot_id, Volume(path)):
                assert self.granted[boot_id]
                assert path == f"/{self.claims[boot_id]}", "another user's volume"
            case Release(boot_id, uid, generation):
                assert boot_id in self.exited, "the process may still write"
                assert self.granted.pop(boot_id) == generation
                assert self.claims[boot_id] == uid
                self.released.add(boot_id)
            case Report(process):
                self._check_report(process.boot_id, process.state)
            case Answer() | AskToStop() | Kill():
                pass

    def _check_report(self, boot_id: BootId, state: State) -> None:
        before = self.shown.get(boot_id)
        if before in {State.ACTIVE, State.STOPPED}:
            assert state in {before, State.STOPPED}, f"{before} became {state}"
        self.shown[boot_id] = state

    # What may happen

    @rule(target=boots)
    def some_process(self) -> BootId:
        """A process of now or then for other rules to name."""
        known = sorted(self.slots) or sorted(self.exited) or ["f" * 16]
        return BootId(known[-1])

    @rule(target=boots, data=st.data())
    def any_living_process(self, data: st.DataObject) -> BootId:
        known = sorted(self.slots) or ["f" * 16]
        return BootId(data.draw(st.sampled_from(known)))

    @rule(boot_id=boots)
    def launched(self, boot_id: BootId) -> None:
        if boot_id in self.slots:
            self._do(self.pool.launched(boot_id, 4000, self.now))

    @rule(boot_id=boots, said=SAYINGS)
    def said(self, boot_id: BootId, said: Said) -> None:
        if boot_id in self.slots:
            self._do(self.pool.said(boot_id, said, self.now))

    @rule(boot_id=boots)
    def said_too_late(self, boot_id: BootId) -> None:
        if boot_id in self.exited:
            assert not [
                each
                for each in self.pool.said(boot_id, Login(USERS[0]), self.now)
                if not isinstance(each, Launch)
            ]

    @rule(boot_id=boots, grant=st.booleans())
    def provider_answers(self, boot_id: BootId, grant: bool) -> None:
        if boot_id not in self.open_claims:
            return
        self.open_claims.remove(boot_id)
        answer: Volume | Denied = Denied("claimed_elsewhere", "held")
        if grant:
            self.generations += 1
            self.granted[boot_id] = Generation(self.generations)
            answer = Volume(f"/{self.claims[boot_id]}", Generation(self.generations))
        self._do(self.pool.answered(boot_id, answer, self.now))
        assert not self.pool.answered(boot_id, answer, self.now)

    @rule(boot_id=boots)
    def exits(self, boot_id: BootId) -> None:
        if boot_id in self.slots:
            self.exited.add(boot_id)
            # the slot is the pool's again only when nothing is claimed any more
            self._end(boot_id)

    def _end(self, boot_id: BootId) -> None:
        holding = boot_id in self.open_claims or boot_id in self.granted
        slot = self.slots.pop(boot_id)
        if holding:
            self.slots[boot_id] = slot
        actions = self.pool.exited(boot_id, "exit status 1", self.now)
        self._do(actions)
        assert not [
            each
            for each in self.pool.exited(boot_id, "again", self.now)
            if not isinstance(each, Launch)
        ]

    @rule(boot_id=boots)
    def provider_released(self, boot_id: BootId) -> None:
        if boot_id in self.released:
            self.released.remove(boot_id)
            self.slots.pop(boot_id, None)
            self._do(self.pool.released(boot_id, self.now))

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0, 40.0]))
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
        try:
            self._do(self.pool.order(f"t{number}", self.now))
        except (AtCapacityError, DrainingError, NotRunningError):
            pass

    @rule(uid=st.sampled_from(USERS))
    def dedicate(self, uid: Uid) -> None:
        try:
            self._do(self.pool.dedicate(uid, self.now))
        except (AtCapacityError, DrainingError, NotRunningError):
            pass

    @rule()
    def stop(self) -> None:
        self._do(self.pool.stop(self.now))

    @rule()
    def start(self) -> None:
        try:
            self._do(self.pool.start(self.now))
        except DrainingError:
            assert self.pool.draining

    @rule(sure=st.integers(0, 9))
    def drain(self, sure: int) -> None:
        if sure == 0:
            self._do(self.pool.drain(self.now))

    # What must hold after every step

    @invariant()
    def there_are_never_more_slots_than_the_capacity(self) -> None:
        assert len(self.pool.roster) <= CAPACITY

    @invariant()
    def no_ready_process_holds_a_user(self) -> None:
        for seat in self.pool.roster:
            process = seat.process
            if process and process.state is State.READY:
                assert process.uid is None
                assert process.holding is Holding.NOTHING

    @invariant()
    def dedicated_servers_serve_their_own_user(self) -> None:
        for seat in self.pool.roster:
            if isinstance(seat.purpose, Dedicated) and seat.process and seat.process.uid:
                assert seat.process.uid == seat.purpose.uid

    @invariant()
    def a_ticket_starts_one_server(self) -> None:
        assert all(count == 1 for count in self.tickets.values())

    @invariant()
    def starts_are_bounded(self) -> None:
        starting = [
            seat
            for seat in self.pool.roster
            if seat.process and seat.process.state is State.STARTING
        ]
        assert len(starting) <= 2

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
            for boot_id in sorted(self.open_claims):
                self.provider_answers(boot_id, grant=True)
            for boot_id in sorted(set(self.slots) - self.exited):
                self.exits(boot_id)
            for boot_id in sorted(self.released):
                self.provider_released(boot_id)
        assert self.pool.empty
        assert not self.granted
        assert not self.open_claims


TestPool = PoolMachine.TestCase
