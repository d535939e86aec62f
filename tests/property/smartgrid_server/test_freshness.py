"""Older data is noticed and honest data never is, whatever crashes, fails and is lost in between.

Model: one user's volume (generation, tag, journal left over), the record that a platform keeps or does not, and what
two clients keep. One process after another claims the volume, looks, opens, writes, closes or dies; the link fails
before or after it has done its work, and answers to clients are lost.

Whenever nobody has the data open, every older copy there ever was is put back for a moment: of the database alone, and
with the volume's generation. The model says when somebody knows enough to notice that.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from attestation.issuing.messages import Record
from smartgrid_server.errors import FreshnessUnavailableError, OlderDataError
from smartgrid_server.freshness import Guard, NoLink
from smartgrid_server.messages import DataTag, Freshness
from standby.ids import Generation, Uid

ALICE = Uid("alice")
CLIENTS = ("customer", "meter")
T = TypeVar("T")


class Fails(Enum):
    """When a request over the link fails, if it does."""

    NOT = auto()
    BEFORE = auto()
    AFTER = auto()
    """It was done, and the answer was lost."""


class End(Enum):
    """Of a session."""

    LOGOUT = auto()
    LOGOUT_UNANSWERED = auto()
    """Also one by time, which nobody is told about."""
    NOT_CLOSED = auto()
    """The database could not be closed properly."""
    CRASH = auto()
    CRASH_AFTER_CLOSING = auto()


@dataclass(frozen=True)
class Attempt:
    """One LOGIN at a process whose database is closed, and the session that it begins."""

    client: str
    shows: bool
    """Whether the client has what it kept, and shows it."""
    right_key: bool
    seen: Fails
    opened: Fails
    left: Fails
    writes: list[bool]
    """True: the journal has been brought into the file since."""
    joins: str | None
    """A client that logs in while the session is open."""
    end: End


@dataclass(frozen=True)
class Volume:
    generation: int = 0
    tag: int = 0
    """Of the database file; another number for each other content."""
    journal: bool = False
    """Something in it is not in the file yet."""

    @property
    def found(self) -> bytes | None:
        return None if self.journal else self.tag.to_bytes(32)


class Keeper:
    """The platform's record, over a link that fails when told to."""

    def __init__(self) -> None:
        self.record: Record | None = None
        self.fails = Fails.NOT

    async def last_seen(self, uid: Uid) -> Record | None:
        assert uid == ALICE
        if self.fails is not Fails.NOT:
            raise ConnectionError
        return self.record

    async def opened(self, uid: Uid, generation: Generation) -> None:
        self._keep(uid, Record(generation, None))

    async def left(self, uid: Uid, generation: Generation, tag: bytes) -> None:
        self._keep(uid, Record(generation, tag))

    def _keep(self, uid: Uid, record: Record) -> None:
        assert uid == ALICE
        if self.fails is not Fails.BEFORE:
            self.record = record
        if self.fails is not Fails.NOT:
            raise ConnectionError


@dataclass
class Process:
    guard: Guard
    generation: Generation
    dedicated: bool
    left: bytes | None = None
    """The tag of its own last session, if that was closed properly."""
    alive: bool = True

    def over(self, *, crashed: bool = False) -> None:
        """A session has ended, or none has begun."""
        self.alive = self.dedicated and not crashed


fails = st.sampled_from([Fails.NOT] * 6 + [Fails.BEFORE, Fails.AFTER])
attempts = st.builds(
    Attempt,
    client=st.sampled_from(CLIENTS),
    shows=st.sampled_from([True, True, True, False]),
    right_key=st.sampled_from([True, True, True, False]),
    seen=fails,
    opened=fails,
    left=fails,
    writes=st.lists(st.booleans(), max_size=2),
    joins=st.none() | st.sampled_from(CLIENTS),
    end=st.sampled_from([End.LOGOUT] * 4 + list(End)),
)


class World(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.volume = Volume()
        self.copies = {self.volume}
        self.keeper = Keeper()
        self.link: Keeper | NoLink = self.keeper
        self.kept: dict[str, DataTag | None] = dict.fromkeys(CLIENTS)
        self.last: DataTag | None = None
        """What a client was or would have been told at the last close, if nobody has opened the data since."""
        self.tags = 0

    def teardown(self) -> None:
        self.loop.close()

    @initialize(recorded=st.booleans())
    def begin(self, *, recorded: bool) -> None:
        self.link = self.keeper if recorded else NoLink()

    @rule(claims=st.integers(1, 2))
    def claims_that_are_given_back(self, claims: int) -> None:
        for _ in range(claims):
            self._claim()

    @rule(dedicated=st.booleans(), attempts=st.lists(attempts, min_size=1, max_size=4))
    def a_process_lives(self, attempts: list[Attempt], *, dedicated: bool) -> None:
        process = Process(Guard(self.link), self._claim(), dedicated)
        for attempt in attempts:
            if process.alive:
                self._login(process, attempt)
                self._look_at_every_copy()

    @invariant()
    def every_older_copy_is_noticed_where_it_can_be(self) -> None:
        self._look_at_every_copy()

    @invariant()
    def a_record_with_a_tag_is_true(self) -> None:
        record = self.keeper.record
        if record is not None and record.tag is not None:
            assert record.tag == self.volume.found

    # honest events

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def _claim(self) -> Generation:
        self._change(generation=self.volume.generation + 1)
        return Generation(self.volume.generation)

    def _change(self, **changes: Any) -> None:
        self.volume = replace(self.volume, **changes)
        self.copies.add(self.volume)

    def _login(self, process: Process, attempt: Attempt) -> None:
        self.keeper.fails = attempt.seen
        try:
            self._look(process)
        except FreshnessUnavailableError:
            process.over()
            return
        presented = self.kept[attempt.client] if attempt.shows else None
        judgement = process.guard.judge(presented, accept_older=False)
        record = self.keeper.record
        if process.left is not None or (record is not None and record.tag is not None):
            assert judgement.freshness is Freshness.VERIFIED
        if attempt.right_key:
            self._open(process, attempt)

    def _look(self, process: Process) -> None:
        async def look() -> None:
            found: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
            found.set_result(self.volume.found)
            await process.guard.look(ALICE, process.generation, found)

        self._run(look())

    def _open(self, process: Process, attempt: Attempt) -> None:
        self.keeper.fails, process.left = attempt.opened, None
        try:
            self._run(process.guard.opened())
        except FreshnessUnavailableError:
            self._close()
            self._leave(process, attempt.left)
            if attempt.opened is Fails.AFTER:
                self.last = None
            process.over()
        else:
            self.last = None
            self._session(process, attempt)

    def _session(self, process: Process, attempt: Attempt) -> None:
        for checkpointed in attempt.writes:
            self.tags += 1
            self._change(journal=True, tag=self.tags if checkpointed else self.volume.tag)
        if attempt.joins:
            process.guard.judge(self.kept[attempt.joins], accept_older=False)
        process.over(crashed=attempt.end in {End.CRASH, End.CRASH_AFTER_CLOSING})
        if attempt.end in {End.CRASH, End.NOT_CLOSED}:
            return
        self._close()
        if attempt.end is End.CRASH_AFTER_CLOSING:
            return
        self._leave(process, attempt.left)
        if not process.dedicated:
            self.last = self._now(process)
            if attempt.end is End.LOGOUT:
                self.kept[attempt.client] = self.last

    def _close(self) -> None:
        """What is in the journal gets into the file."""
        if self.volume.journal:
            self.tags += 1
            self._change(tag=self.tags, journal=False)

    def _leave(self, process: Process, fails: Fails) -> None:
        tag = self.volume.found
        assert tag is not None
        process.left, self.keeper.fails = tag, fails
        try:
            self._run(process.guard.left(tag))
        except FreshnessUnavailableError:
            assert fails is not Fails.NOT

    def _now(self, process: Process) -> DataTag:
        assert self.volume.found is not None
        return DataTag(generation=process.generation, tag=self.volume.found)

    # the storage

    def _look_at_every_copy(self) -> None:
        """At what the next LOGIN would say of it; then everything is as before."""
        now, self.keeper.fails = self.volume, Fails.NOT
        contents = {(copy.tag, copy.journal) for copy in self.copies}
        at_once = {replace(now, tag=tag, journal=journal) for tag, journal in contents}
        for older in self.copies | at_once:
            if (older.tag, older.journal) != (now.tag, now.journal):
                self.volume = replace(older, generation=older.generation + 1)
                process = Process(Guard(self.link), Generation(self.volume.generation), False)
                self._look(process)
                for presented in (None, *self.kept.values()):
                    self._must_notice(process, presented)
        self.volume = now

    def _must_notice(self, process: Process, presented: DataTag | None) -> None:
        if not self._noticeable(presented, process.generation):
            return
        accepted = process.guard.judge(presented, accept_older=True)
        assert accepted.freshness is Freshness.UNKNOWN
        try:
            process.guard.judge(presented, accept_older=False)
        except OlderDataError:
            return
        raise AssertionError(f"{self.volume} was not noticed by {presented}")

    def _noticeable(self, presented: DataTag | None, claim: Generation) -> bool:
        record = self.keeper.record if isinstance(self.link, Keeper) else None
        if record is not None and record.tag is not None:
            return True  # the last close was clean, and is on record
        if presented is None:
            return False
        if presented.generation >= claim:
            return True
        others = presented.generation < claim - 1
        return presented == self.last and (not others or record is not None)


TestFreshness = World.TestCase
TestFreshness.settings = settings(max_examples=150, stateful_step_count=12, deadline=None)
