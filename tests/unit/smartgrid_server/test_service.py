"""What a session says of the user's data, in which order, and what becomes of it when nobody listens.

The database, its thread and the session are real; the wrapper and the keeper of records are not.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from attestation.issuing.channel import Channel, ChannelError
from attestation.issuing.messages import (
    LONGEST,
    Answer,
    Kept,
    LastSeen,
    Left,
    Opened,
    Record,
    Request,
    Seen,
    encode,
    read_request,
)
from smartgrid_server import database
from smartgrid_server.errors import (
    FreshnessUnavailableError,
    OlderDataError,
    SessionOverError,
    WrongKeyError,
)
from smartgrid_server.freshness import ChannelLink, FreshnessLink, NoLink, tag_of
from smartgrid_server.messages import Alarm, DataTag, Freshness, LoginReply
from smartgrid_server.service import Service, Wish
from smartgrid_server.session import Limits, Phase, Session
from smartgrid_server.worker import Worker
from smartgrid_server.wrapper_link import WrapperLink
from standby import deadlines, lines
from standby.errors import UnavailableError
from standby.identity import Identity, Role
from standby.ids import Generation, Uid, new_boot_id
from standby.states import StopReason
from tests.support.attesting import pair
from tests.support.smartgrid import OTHER_KEY, new_volume, secret

ALICE = Uid("alice")
CUSTOMER, METER = Identity(Role.CUSTOMER, ALICE), Identity(Role.METER, ALICE)
LIMITS = Limits(length=600, most=1500, idle=180, login=8, retry=15, tries=3, members=3)
ALARM = [Alarm(metric="power", threshold=1.0)]


class Granting(WrapperLink):
    """Gives the volume to whoever asks."""

    def __init__(self, volume: lines.Volume) -> None:
        self._volume = volume

    async def ask_volume(self, uid: Uid, timeout: float) -> lines.Volume:
        assert (uid, timeout) == (ALICE, 1.0)
        return self._volume

    def give_up(self) -> None:
        pass


class Keeper:
    """Keeps the record and what it was told; `at` runs whenever it is told something, before it is kept."""

    def __init__(self, at: Callable[[str], None] = lambda _what: None) -> None:
        self.record: Record | None = None
        self.told: list[str] = []
        self.fails = ""
        self.hangs = ""
        self.at = at

    async def last_seen(self, uid: Uid) -> Record | None:
        await self._tell("last_seen", uid)
        return self.record

    async def opened(self, uid: Uid, generation: Generation) -> None:
        await self._tell("opened", uid)
        self.record = Record(generation, None)

    async def left(self, uid: Uid, generation: Generation, tag: bytes) -> None:
        await self._tell("left", uid)
        self.record = Record(generation, tag)

    async def _tell(self, what: str, uid: Uid) -> None:
        assert uid == ALICE
        self.told.append(what)
        self.at(what)
        if what == self.hangs:
            await asyncio.Event().wait()
        if what == self.fails:
            raise UnavailableError("the keeper is not there")


class World:
    """One user's volume, and the processes that claim it one after another."""

    def __init__(self, directory: Path) -> None:
        self.volume = new_volume(directory, "alice")
        self.file = self.volume / database.FILE_NAME
        self.generation = 0
        self.keeper = Keeper()

    @contextlib.asynccontextmanager
    async def process(
        self,
        *,
        dedicated: bool = False,
        recorded: bool = True,
        link: FreshnessLink | None = None,
    ) -> AsyncIterator[Service]:
        self.generation += 1
        volume = lines.Volume(str(self.volume), Generation(self.generation))
        session = Session(LIMITS, dedicated=ALICE if dedicated else None)
        worker = Worker()
        link = link or (self.keeper if recorded else NoLink())
        service = Service(session, Granting(volume), worker, new_boot_id(), 1.0, freshness=link)
        if not dedicated:
            session.bind(ALICE, now=0)
            session.log_in(ALICE)
        try:
            yield service
        finally:
            service.end(StopReason.DRAINED)
            await service.closed()
            await service.hush()
            worker.stop()

    def restore(self, content: bytes) -> None:
        self.file.write_bytes(content)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def session(
    service: Service, wish: Wish | None = None, *, writes: bool = True
) -> tuple[LoginReply, DataTag | None]:
    """From LOGIN to LOGOUT."""
    login = await service.login(CUSTOMER, secret(), wish or Wish())
    if writes:
        await service.work(CUSTOMER, login.token, lambda db: db.write_alarms(ALARM))
    logout = await service.logout(CUSTOMER, login.token)
    assert logout.ended
    return login, logout.freshness


async def test_a_session_is_told_of_from_before_its_first_write_to_after_its_end(
    world: World,
) -> None:
    untouched = tag_of(world.file)
    seen: dict[str, tuple[bool, bool]] = {}

    def look(what: str) -> None:
        journal = world.file.with_name(world.file.name + "-wal")
        opened = {each.readlink() for each in Path("/proc/self/fd").iterdir() if each.is_symlink()}
        seen[what] = journal in opened, tag_of(world.file) == untouched

    world.keeper.at = look
    async with world.process() as service:
        login, left = await session(service)
    assert world.keeper.told == ["last_seen", "opened", "left"]
    assert seen == {"last_seen": (False, True), "opened": (True, True), "left": (False, False)}
    assert (login.freshness, "first session" in login.freshness_text) == (Freshness.UNKNOWN, True)
    assert left == DataTag(generation=Generation(1), tag=tag_of(world.file))
    assert world.keeper.record == Record(Generation(1), left.tag)


async def test_the_next_session_finds_what_the_last_one_left(world: World) -> None:
    async with world.process() as service:
        _, left = await session(service)
    for recorded, wish in ((True, Wish()), (True, Wish(freshness=left)), (False, Wish())):
        async with world.process(recorded=recorded) as service:
            login, _ = await session(service, wish, writes=False)
        expected = Freshness.VERIFIED if recorded else Freshness.UNKNOWN
        assert login.freshness is expected


@pytest.mark.parametrize("recorded", [True, False])
async def test_an_older_copy_is_refused_and_the_volume_given_back(
    world: World, *, recorded: bool
) -> None:
    older = world.file.read_bytes()
    async with world.process(recorded=recorded) as service:
        _, left = await session(service)
    world.restore(older)
    world.keeper.told.clear()
    async with world.process(recorded=recorded) as service:
        with pytest.raises(OlderDataError):
            await service.login(CUSTOMER, secret(), Wish(freshness=left))
        assert service.over.result() is StopReason.OLDER_DATA
    assert world.keeper.told == (["last_seen"] if recorded else [])
    async with world.process(recorded=recorded) as service:
        wish = Wish(freshness=left, accept_older=True)
        login, _ = await session(service, wish)
        assert login.freshness is Freshness.UNKNOWN


async def test_who_joins_is_compared_with_what_was_found_and_the_session_goes_on(
    world: World,
) -> None:
    older = world.file.read_bytes()
    async with world.process(recorded=False) as service:
        _, left = await session(service)
    world.restore(older)
    async with world.process(recorded=False) as service:
        meter = await service.login(METER, secret())
        assert meter.freshness is Freshness.UNKNOWN
        with pytest.raises(OlderDataError):
            await service.login(CUSTOMER, secret(), Wish(freshness=left))
        await service.work(METER, meter.token, lambda db: db.write_alarms(ALARM))
        customer = await service.login(CUSTOMER, secret(), Wish("again", left, accept_older=True))
        assert customer.freshness is Freshness.UNKNOWN


async def test_a_login_that_is_repeated_in_an_open_session_is_no_rollback(world: World) -> None:
    async with world.process() as service:
        _, left = await session(service)
    async with world.process() as service:
        for caller in (CUSTOMER, CUSTOMER, METER):
            login = await service.login(caller, secret(), Wish("one", left))
            assert login.freshness is Freshness.VERIFIED
            await service.work(caller, login.token, lambda db: db.write_alarms(ALARM))


async def test_a_wrong_key_changes_nothing_that_is_known(world: World) -> None:
    async with world.process() as service:
        _, left = await session(service)
    async with world.process() as service:
        with pytest.raises(WrongKeyError):
            await service.login(CUSTOMER, secret(OTHER_KEY), Wish(freshness=left))
    assert world.keeper.record == Record(Generation(1), left.tag if left else None)
    assert world.keeper.told[-1] == "last_seen"
    async with world.process() as service:
        with pytest.raises(WrongKeyError):
            await service.login(METER, secret(OTHER_KEY))
        login, _ = await session(service, Wish(freshness=left))
    assert login.freshness is Freshness.VERIFIED


@pytest.mark.parametrize("request_", ["last_seen", "opened"])
async def test_nobody_is_let_in_while_the_link_fails(world: World, request_: str) -> None:
    world.keeper.fails = request_
    before = tag_of(world.file)
    async with world.process() as service:
        with pytest.raises(FreshnessUnavailableError):
            await service.login(CUSTOMER, secret())
        assert service.over.result() is StopReason.REFUSED
    assert tag_of(world.file) == before
    world.keeper.fails = ""
    async with world.process() as service:
        await session(service)


async def test_a_link_that_fails_at_the_end_leaves_the_client_who_knows(world: World) -> None:
    world.keeper.fails = "left"
    async with world.process() as service:
        _, left = await session(service)
    assert left is not None
    assert world.keeper.record == Record(Generation(1), None)
    world.keeper.fails = ""
    for wish, freshness in (
        (Wish(), Freshness.UNKNOWN),
        (Wish(freshness=left), Freshness.VERIFIED),
    ):
        async with world.process() as service:
            world.keeper.record = Record(Generation(1), None)
            login, _ = await session(service, wish, writes=False)
            assert login.freshness is freshness


async def test_a_link_that_hangs_at_the_end_does_not_keep_the_process(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "SERVER_CLOSE", 0.2)
    world.keeper.hangs = "left"
    async with world.process() as service, asyncio.timeout(5):
        _, left = await session(service)
    assert left is not None


class Wrapper:
    """The other end of a channel; says what the test makes it say."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    async def asked(self) -> Request:
        async with asyncio.timeout(5):
            packet = await asyncio.get_running_loop().sock_recv(self._end, LONGEST)
        request: Request = read_request(packet)
        return request

    def says(self, answer: Answer) -> None:
        self._end.send(encode(answer))

    async def answers(self, *pairs: tuple[type[Request], Answer]) -> None:
        for kind, answer in pairs:
            assert isinstance(await self.asked(), kind)
            self.says(answer)


@pytest.fixture
def channel() -> Iterator[tuple[Channel, Wrapper]]:
    ours, theirs = pair()
    ours.settimeout(0)
    with ours, contextlib.closing(Channel(theirs.detach())) as channel:
        yield channel, Wrapper(ours)


LOGIN_ASKED = ((LastSeen, Seen(None)), (Opened, Kept()))


async def test_an_answer_that_comes_after_the_end_of_a_session_does_not_cost_the_channel(
    world: World, channel: tuple[Channel, Wrapper], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, wrapper = channel
    async with world.process(dedicated=True, link=ChannelLink(ours)) as service:
        await service.claim(ALICE)
        with monkeypatch.context() as patched:
            patched.setattr(deadlines, "SERVER_CLOSE", 0.2)
            await asyncio.gather(session(service), wrapper.answers(*LOGIN_ASKED))
        assert isinstance(await wrapper.asked(), Left)
        assert not ours.lost.is_set()
        wrapper.says(Kept())
        (login, _), _ = await asyncio.gather(
            session(service), wrapper.answers(*LOGIN_ASKED, (Left, Kept()))
        )
        assert login.freshness is Freshness.VERIFIED
        assert not ours.lost.is_set()


async def test_the_end_of_the_process_is_the_end_of_its_questions(
    world: World, channel: tuple[Channel, Wrapper], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, wrapper = channel
    monkeypatch.setattr(deadlines, "SERVER_CLOSE", 0.2)
    async with world.process(link=ChannelLink(ours)) as service:
        await asyncio.gather(session(service), wrapper.answers(*LOGIN_ASKED))
        assert not ours.lost.is_set()
        await service.hush()
        with pytest.raises(ChannelError, match="nobody waited"):
            await ours.ask(LastSeen(ALICE), Seen, 1)


@pytest.mark.parametrize("dedicated", [False, True])
async def test_who_is_logged_in_is_not_sent_away_by_the_last_word(
    world: World, *, dedicated: bool
) -> None:
    async with world.process(dedicated=dedicated) as service:
        if dedicated:
            await service.claim(ALICE)
        login = await service.login(CUSTOMER, secret())
        service.end_when_idle(StopReason.UNATTESTED)
        meter = await service.login(METER, secret())
        for caller, token in ((CUSTOMER, login.token), (METER, meter.token)):
            await service.work(caller, token, lambda db: db.write_alarms(ALARM))
            assert not service.over.done()
            await service.logout(caller, token)
        expected = StopReason.UNATTESTED if dedicated else StopReason.LOGOUT
        assert service.over.result() is expected
    tag = tag_of(world.file)
    assert world.keeper.record == Record(Generation(1), tag)


async def test_a_dedicated_process_between_two_sessions_ends_at_the_last_word(
    world: World,
) -> None:
    async with world.process(dedicated=True) as service:
        await service.claim(ALICE)
        await session(service)
        service.end_when_idle(StopReason.UNATTESTED)
        assert service.over.result() is StopReason.UNATTESTED


async def test_a_session_that_cannot_be_closed_properly_leaves_no_tag(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: database.Database) -> None:
        raise UnavailableError("the disk is gone")

    async with world.process() as service:
        with monkeypatch.context() as patched:
            patched.setattr(database.Database, "close", fail)
            _, left = await session(service)
    assert left is None
    assert world.keeper.record == Record(Generation(1), None)


async def test_a_process_that_is_asked_to_end_while_the_record_is_written_closes_properly(
    world: World,
) -> None:
    async with world.process() as service:
        await session(service)
    async with world.process() as service:

        def end(what: str) -> None:
            if what == "opened":
                service.end(StopReason.DRAINED)

        world.keeper.at = end
        with pytest.raises(SessionOverError):
            await service.login(CUSTOMER, secret())
        await service.closed()
    assert world.keeper.record == Record(Generation(2), tag_of(world.file))
    assert world.keeper.told[-2:] == ["opened", "left"]


async def test_a_process_that_is_asked_to_end_while_it_looks_opens_nothing(world: World) -> None:
    async with world.process() as service:

        def end(what: str) -> None:
            if what == "last_seen":
                service.end(StopReason.DRAINED)

        world.keeper.at = end
        with pytest.raises(SessionOverError):
            await service.login(CUSTOMER, secret())
        await service.closed()
    assert world.keeper.told == ["last_seen"]
    with contextlib.closing(database.Database.open(world.file, secret())):
        pass


@pytest.mark.parametrize("recorded", [True, False])
async def test_a_dedicated_process_knows_its_own_sessions_and_gives_no_tag_away(
    world: World, *, recorded: bool
) -> None:
    async with world.process(recorded=recorded) as service:
        _, left = await session(service)
    async with world.process(recorded=recorded, dedicated=True) as service:
        await service.claim(ALICE)
        older = b""
        for _ in range(3):
            older = world.file.read_bytes()
            login, kept = await session(service, Wish(freshness=left))
            assert (login.freshness, kept) == (Freshness.VERIFIED, None)
        world.restore(older)
        with pytest.raises(OlderDataError):
            await service.login(CUSTOMER, secret(), Wish(freshness=left))
        login, _ = await session(service, Wish(freshness=left, accept_older=True))
        assert login.freshness is Freshness.UNKNOWN
        login, _ = await session(service, Wish(freshness=left))
        assert login.freshness is Freshness.VERIFIED


async def test_the_next_session_of_a_dedicated_process_begins_when_the_last_one_is_on_record(
    world: World,
) -> None:
    async with world.process(dedicated=True) as service:
        await service.claim(ALICE)
        login = await service.login(CUSTOMER, secret())
        await service.work(CUSTOMER, login.token, lambda db: db.write_alarms(ALARM))
        _, after = await asyncio.gather(
            service.logout(CUSTOMER, login.token), service.login(METER, secret())
        )
        assert after.freshness is Freshness.VERIFIED
        assert world.keeper.told == ["last_seen", "opened", "left", "last_seen", "opened"]
        assert world.keeper.record == Record(Generation(1), None)


async def test_a_dedicated_process_closes_what_it_could_not_use(world: World) -> None:
    async with world.process(dedicated=True) as service:
        await service.claim(ALICE)
        world.keeper.fails = "opened"
        with pytest.raises(FreshnessUnavailableError):
            await service.login(CUSTOMER, secret())
        assert service._session.phase is Phase.LOCKED
        world.keeper.fails = ""
        login, _ = await session(service)
    assert login.freshness is Freshness.VERIFIED  # nobody has written anything in between


async def test_of_the_key_a_digest_stays_until_the_session_ends(world: World) -> None:
    key = secret()
    async with world.process() as service:
        login = await service.login(CUSTOMER, key)
        assert not any(key.reveal())
        digest = service._key_digest.reveal()
        assert any(digest)
        assert bytes(digest) != bytes(secret().reveal())
        await service.logout(CUSTOMER, login.token)
        assert not any(digest)
