"""The whole platform as one model: the real decision code of every part, connected by a network that fails.

Real are the Routing Manager's core, the wrapper's pool, outbox, epoch and volume provider, the server's session and
database, and the client's policy of retries. Simulated, as briefly as the shells allow, are processes, pipes, HTTP and
time. The rules are what users want and what goes wrong; between them the world runs by its own agenda, message by
message, so that anything may fail at any moment of anything else. Nothing goes wrong unless a rule says so, which keeps
a counterexample short.

`truth` and the parts check what is promised as it happens; the invariant asks again after every step; and in the end
the faults stop, and every user must be able to log in within the time that a client keeps trying.

The normal run tries the same examples each time (`derandomize`), because it stands for all who share the code: red
means that a change broke something. `PLATFORM_EXAMPLES=5000` searches anew, for as long as one likes.
`PLATFORM_FIRST=1` is content with the first counterexample, however long, and searches longer for one:
`tests/mutations` expects one.
"""

import os
import sys
from enum import StrEnum
from itertools import count
from typing import Any, Final

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

from smartgrid_client.requests import Operation
from standby import deadlines
from standby.identity import Role
from standby.ids import Generation, Uid
from tests.property.platform import wrapper
from tests.property.platform.client import Client, show_token
from tests.property.platform.manager import Manager, Question
from tests.property.platform.network import SOON, Fate, Kind
from tests.property.platform.server import LIMITS, Server
from tests.property.platform.world import ROLES, USERS, World
from tests.property.platform.wrapper import Wrapper

EXAMPLES: Final = int(os.environ.get("PLATFORM_EXAMPLES", "0"))
FIRST: Final = os.environ.get("PLATFORM_FIRST") == "1"
SLOWEST: Final = 0.8
"""Seconds of a part's clock in a second of the world; machines' real clocks differ by far less."""
MADE_UP: Final = 8
"""Names a second."""
HOURS: Final = 2
LONGEST_STOP: Final = 40.0
"""Seconds that a process is stopped for at most; what it was sent meanwhile may be taken so late."""
SERVERS_FOR_ALL: Final = len(USERS) + 1


class Victim(StrEnum):
    SERVER = "server"
    WRAPPER = "wrapper"
    MANAGER = "Routing Manager"


users = st.sampled_from(USERS)
roles = st.sampled_from(ROLES)
which = st.integers(0, 7)
kinds = st.sampled_from(sorted(Kind))
away = st.sampled_from([0.0, 0.5, 3.0, 8.0])
rates = st.lists(st.sampled_from([1.0, SLOWEST, 1.25]), min_size=3, max_size=3)
storms = st.none() | st.integers(0, 99)
victims = st.sampled_from(Victim)
fates = st.sampled_from([(), (SOON, SOON), (SOON, 3.0), (0.05,), (3.0,), (12.0,)])
wishes = st.lists(
    st.sampled_from(
        [
            Operation.LOGIN,
            Operation.LONG_WRITE,
            Operation.WRITE,
            Operation.LOGOUT,
            Operation.LONG_WRITE,
        ]
    ),
    min_size=1,
    max_size=4,
)


class PlatformMachine(RuleBasedStateMachine):
    @initialize(
        managers=st.integers(1, 2),
        sizes=st.lists(st.integers(1, 2), min_size=2, max_size=2),
        rates=rates,
        approach=st.sampled_from(["standby", "on-demand"]),
        storm=storms,
    )
    def begin(
        self,
        managers: int,
        sizes: list[int],
        rates: list[float],
        approach: str,
        storm: int | None,
    ) -> None:
        self.enough = approach == "on-demand" or sum(sizes) >= SERVERS_FOR_ALL
        self.world = World(managers=managers, sizes=sizes, rates=rates, approach=approach)
        self.names = count(1)
        self._run(3.0)
        self.the_weather_changes(storm)

    # -- what users want ---------------------------------------------------------------------------------------------

    @rule(user=users, role=roles, wishes=wishes)
    def a_client_wants(self, user: Uid, role: Role, wishes: list[Operation]) -> None:
        for operation in wishes:
            self.world.clients[user, role].wish(operation)

    @rule(wishes=wishes)
    def everybody_wants(self, wishes: list[Operation]) -> None:
        for user, role in self.world.clients:
            self.a_client_wants(user, role, wishes)

    @rule(user=users, role=roles)
    def a_client_vanishes(self, user: Uid, role: Role) -> None:
        self.world.clients[user, role].alive = False
        self.world.clients[user, role] = self.world.new_client(user, role)

    @rule(numbers=st.lists(st.integers(0, 9), min_size=1, max_size=4), source=st.integers(0, 1))
    def strangers_ask(self, numbers: list[int], source: int) -> None:
        """Made-up names, which never log in; from different places they ask different Routing Managers."""
        manager = self.world.managers[source % len(self.world.managers)]
        for number in numbers if manager else ():
            assert manager is not None
            name = Uid(f"nobody-{number}")
            manager.ask(Question(name, f"elsewhere {source}", lambda _: None))

    @rule(seconds=st.sampled_from([2.0, 20.0]))
    def a_stranger_keeps_asking(self, seconds: float) -> None:
        """With a new name each time and from one address; nobody logs in to what is reserved for it."""
        until = self.world.agenda.now + seconds
        while self.world.agenda.now < until:
            for manager in self.world.managers:
                if manager is not None:
                    name = Uid(f"made-up-{next(self.names)}")
                    manager.ask(Question(name, "a stranger's address", lambda _: None))
            self._run(1 / MADE_UP)

    # -- time --------------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.1, 1.0, 4.0, 12.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        self._run(seconds)

    @rule(events=st.integers(1, 20))
    def a_little_happens(self, events: int) -> None:
        for _ in range(events):
            self.world.agenda.step()
            self.world.bury()

    # -- what goes wrong ---------------------------------------------------------------------------------------------

    @rule(messages=st.lists(st.tuples(kinds, fates), min_size=1, max_size=4))
    def messages_will_fare_ill(self, messages: list[tuple[Kind, Fate]]) -> None:
        for kind, fate in messages:
            self.world.network.plan(kind, fate)

    @rule(seed=storms)
    def the_weather_changes(self, seed: int | None) -> None:
        if seed is None:
            self.world.network.calm()
        else:
            self.world.network.storm(seed)

    @rule(victim=victims, number=which, away=away)
    def somebody_dies(self, victim: Victim, number: int, away: float) -> None:
        world = self.world
        match victim:
            case Victim.MANAGER:
                world.kill_manager(number % len(world.managers), away)
            case Victim.WRAPPER:
                world.kill_wrapper(number % len(world.wrappers), away)
            case Victim.SERVER:
                server = self._pick(victim, number)
                if isinstance(server, Server):
                    world.end(server)

    @rule(victim=victims, number=which, kind=kinds)
    def somebody_will_die_when_a_message_has_come(
        self, victim: Victim, number: int, kind: Kind
    ) -> None:
        self.world.network.ambush(kind, lambda: self.somebody_dies(victim, number, 0.5))

    @rule(statements=st.integers(0, 12))
    def a_server_will_die_at_its_database(self, statements: int) -> None:
        self.world.statements_left = statements

    @rule(victim=victims, number=which, seconds=st.sampled_from([1.0, 6.0, 20.0, LONGEST_STOP]))
    def somebody_is_stopped(self, victim: Victim, number: int, seconds: float) -> None:
        part = self._pick(victim, number)
        if part is not None:
            part.stop(seconds)
        if isinstance(part, Server):
            part.owner.watch(part, seconds)

    @rule(number=which, victim=users, binds=st.booleans())
    def a_waiting_server_is_taken_over(self, number: int, victim: Uid, binds: bool) -> None:
        """It names a user who has not come to it; `truth` notices if that user's volume is claimed."""
        waiting = [each for each in self.world.servers() if each.waits]
        if waiting:
            server = waiting[number % len(waiting)]
            server.is_taken_over(victim, binds=binds)

    @rule(number=which)
    def a_wrapper_leaves(self, number: int) -> None:
        leaving = self.world.wrappers[number % len(self.world.wrappers)]
        if leaving is not None:
            leaving.take(leaving.leave)

    @rule(number=which, away=away, seconds=st.sampled_from([2.0, 8.0, 20.0]))
    def a_wrapper_dies_and_its_servers_hang(self, number: int, away: float, seconds: float) -> None:
        self.world.hanging_until = self.world.agenda.now + seconds
        self.somebody_dies(Victim.WRAPPER, number, away)

    @rule(servers=st.integers(1, 4))
    def servers_fail_at_their_start(self, servers: int) -> None:
        self.world.broken_starts = servers

    def _pick(self, victim: Victim, number: int) -> Server | Wrapper | Manager | None:
        parts: dict[Victim, list[Any]] = {
            Victim.MANAGER: self.world.managers,
            Victim.WRAPPER: self.world.wrappers,
            Victim.SERVER: list(self.world.servers()),
        }
        among = parts[victim]
        return among[number % len(among)] if among else None

    # -- what is old or too much changes nothing ---------------------------------------------------------------------

    @rule(user=users, back=st.integers(0, 2))
    def a_claim_that_is_over_is_released(self, user: Uid, back: int) -> None:
        """An older one by whoever holds the volume now, any one by others."""
        generation = Generation(self.world.truth.generations[user] - back)
        for each in self.world.wrappers:
            if each is not None and each.alive and (back or not wrapper.holds(each, user)):
                wrapper.release_again(each, user, generation)

    @rule(user=users)
    def a_volume_that_is_held_is_asked_for(self, user: Uid) -> None:
        if any(each.alive and each.owner.alive for each in self.world.truth.writers[user]):
            for each in self.world.wrappers:
                if each is not None and each.alive:
                    wrapper.claim_held(each, user)

    @rule()
    def old_tokens_are_shown_to_every_server(self) -> None:
        """`truth` judges what the servers accept."""
        for token, issued in self.world.truth.issued.items():
            for server in self.world.servers() if issued.over else ():
                show_token(server, issued.uid, issued.role, token)

    # -- what must hold ----------------------------------------------------------------------------------------------

    @invariant()
    def every_promise_is_kept(self) -> None:
        if hasattr(self, "world"):
            self.world.check()

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            if sys.exc_info()[0] is None:  # else something has failed already
                self._the_faults_end()
                self._everybody_logs_in_and_out()
                self._run(LONGEST_STOP + (LIMITS.idle + 2 * deadlines.SERVER_STOP) / SLOWEST)
                self.world.check()
                self.world.check_no_volume_is_left_claimed()
        finally:
            self.world.close()

    def _the_faults_end(self) -> None:
        world = self.world
        world.network.calm()
        world.hanging_until, world.broken_starts = 0.0, 0
        world.statements_left = None
        for part in (*world.servers(), *world.wrappers, *world.managers):
            if part is not None:
                part.go_on()
        if (
            not self.enough
        ):  # sessions that nobody ends may hold every server until they end by themselves
            self._run(LIMITS.length / SLOWEST)

    def _everybody_logs_in_and_out(self) -> None:
        """Fresh clients, as of people who come back; they give up when the real policy does."""
        clients: list[Client] = []
        for user in USERS:
            for role in ROLES:
                self.a_client_vanishes(user, role)
            clients.append(self.world.clients[user, ROLES[0]])
            clients[-1].wish(Operation.LOGIN)
            clients[-1].wish(Operation.LOGOUT)
        for _ in range(200):
            if not any(client.busy for client in clients):
                break
            self._run(1.0)
        for client in clients:
            assert client.failure is None, f"{client.uid} is stuck: {client.failure!r}"
            assert not client.busy

    def _run(self, seconds: float) -> None:
        until = self.world.agenda.now + seconds
        while self.world.agenda.step(until):
            self.world.bury()


_SETTINGS: Final = settings(
    stateful_step_count=50,
    deadline=None,
    report_multiple_bugs=False,
    phases=[Phase.generate] if FIRST else [Phase.generate, Phase.shrink],
)
_NORMAL: Final = settings(
    _SETTINGS, max_examples=1500 if FIRST else 300, database=None, derandomize=True
)
_LONG: Final = settings(_SETTINGS, max_examples=max(1, EXAMPLES))
pytestmark = pytest.mark.timeout(900)  # hundreds of examples, on a machine that may be busy
TestPlatform = PlatformMachine.TestCase
TestPlatform.settings = _LONG if EXAMPLES else _NORMAL


@pytest.mark.parametrize("approach", ["standby", "on-demand"])
def test_hours_of_made_up_names_without_a_login_end_nothing(approach: str) -> None:
    """What only time can make large enough to break."""
    machine = PlatformMachine()
    machine.begin(managers=1, sizes=[1, 1], rates=[1.0] * 3, approach=approach, storm=None)
    for _ in range(HOURS * 60):
        machine.a_stranger_keeps_asking(60.0)
        machine.every_promise_is_kept()
    machine.teardown()
