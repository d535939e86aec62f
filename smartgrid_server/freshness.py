"""Whether a user's database is the newest that anybody knows of.

Its pages are encrypted and authentic, but whoever stores them can put an older copy back, and nothing in that copy says
that there is a newer one. So what the database was when a session closed it is kept outside the volume, as a *tag* and
the generation of the session's claim: by the platform (its record, over a `FreshnessLink`) and by the client that
ended the session. At the next LOGIN, before the database is opened, both are compared with what is found.

    LOGIN    what is known? · the tag of the file as it is · judge · the key opens · "opened" is on record · writes
    the end  the database is closed · the tag of the file · "left" is on record · the client gets it

Invariants:
  - Nothing is written to a database whose record still has a tag, so a record with a tag is true until somebody other
    than a session changes the file. A session that ends in any other way leaves a record without a tag.
  - Honest events never look like older data, however processes crash and answers are lost. Claims that opened nothing
    (wrong keys, refusals) raise the generation and change neither file nor record.
  - A client is given a tag only by a process that serves one session, so that a generation names one state of the data.
    A dedicated process has several under one claim; it compares with its own memory and with the record.

Relied on: all servers of a user tell one keeper of records. After a session that nobody recorded (a server started by
hand on the same volume) the file is taken for altered, unless the client shows the tag of that very session.

Not promised: a storage that gives two readers different bytes, or changes pages under an open database, is not
noticed; nor is one that is rolled back together with the record and with whatever the clients keep. Without a record
the client's tag is compared only while no claim lies in between: nobody knows whether that one changed anything.

Rejected: counting sessions inside the database. An older copy has an older, equally authentic count.
"""

import asyncio
import hashlib
import mmap
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeVar

from attestation.issuing.channel import Channel
from attestation.issuing.messages import Kept, LastSeen, Left, Opened, Record, Seen
from smartgrid_server.errors import FreshnessUnavailableError, OlderDataError
from smartgrid_server.messages import DataTag, Freshness
from standby import deadlines
from standby.errors import PlatformError
from standby.ids import Generation, Uid

T = TypeVar("T")
_PAGE: Final = 4096
_HMAC: Final = 64
"""At the end of each page; SQLCipher 4."""
_MAGIC: Final = b"standby freshness 1\n"
_JOURNALS: Final = ("-wal", "-journal")
"""What SQLite carries over into the database when it opens it: with old pages in it, an older database."""
_REMEDY: Final = (
    "restore its newest copy, or accept this one (--accept-older-data): what was stored since, if anything,"
    " is lost"
)


@dataclass(frozen=True, slots=True)
class Judgement:
    freshness: Freshness
    text: str
    """For people."""


def tag_of(file: Path) -> bytes:
    """SHA-256 over the number of pages and the HMAC of each: 32 bytes that differ after any change of the database.

    Only one cache line of a page is touched: 4 to 10 ms for 100 MB in the page cache, half of what reading takes. The
    price: a storage that fails while the file is mapped ends the process (SIGBUS) instead of raising. Then this session
    has not begun, or nothing will be known of how it ended.

    Raises:
        OSError: the file cannot be read.
    """
    with file.open("rb") as opened:
        size = opened.seek(0, 2)
        digest = hashlib.sha256(_MAGIC + (size // _PAGE).to_bytes(8, "big"))
        if size >= _PAGE:
            with mmap.mmap(opened.fileno(), size, access=mmap.ACCESS_READ) as pages:
                for end in range(_PAGE, size + 1, _PAGE):
                    digest.update(pages[end - _HMAC : end])
    return digest.digest()


def found_in(file: Path) -> bytes | None:
    """The database's tag, or None if a journal beside it was left by a session that did not end properly.

    Raises:
        OSError: the file cannot be read.
    """
    for suffix in _JOURNALS:
        journal = file.with_name(file.name + suffix)
        if journal.exists() and journal.stat().st_size > 0:
            return None
    return tag_of(file)


def judge(
    found_tag: bytes | None,
    record: Record | None,
    presented: DataTag | None,
    generation: Generation,
    accept_older: bool,  # noqa: FBT001  # the user's word, as it came
    *,
    again: bool = False,
) -> Judgement:
    """Whether the data as it was found may be opened.

    `generation` is that of this process's claim. `again`: this process has had a session under it before, so the record
    may be of the same generation. `found_tag`: see `found_in`; `presented`: what the client has kept.

    Raises:
        OlderDataError: it is older than what is known, or altered, and the user does not accept that.
    """
    doubt = _rolled_back(record, presented, generation, again=again)
    if doubt is None and _differs(found_tag, record, presented, generation):
        doubt = "the stored data is not what it was when your last session ended: it is older, or was altered"
    if doubt is None:
        return _trusted(found_tag, record, presented)
    if accept_older:
        return Judgement(Freshness.UNKNOWN, f"{doubt}; you have accepted that")
    raise OlderDataError(f"{doubt}; {_REMEDY}")


def _rolled_back(
    record: Record | None, presented: DataTag | None, generation: Generation, *, again: bool
) -> str | None:
    """Generations only grow, so a session that was before this claim has a lower one."""
    shown = 0 if presented is None else presented.generation
    recorded = 0 if record is None else record.generation
    if shown < generation and (recorded < generation or (again and recorded == generation)):
        return None
    return (
        f"the volume was put back to an earlier state: its generation is {generation}, and there was a session of"
        f" generation {max(shown, recorded)} already"
    )


def _differs(
    found: bytes | None, record: Record | None, presented: DataTag | None, generation: Generation
) -> bool:
    """Whether the data must be what the newest of the two knows it to be, and is not."""
    recorded = None if record is None else record.tag
    if presented is None or (record is not None and presented.generation < record.generation):
        return recorded is not None and found != recorded
    if record is not None and presented.generation == record.generation:
        return found != presented.tag or (recorded is not None and recorded != presented.tag)
    if found == presented.tag:
        return False
    # the client knows more than the record; if others came after him, he and the record may both be out of date,
    # but no page that was written since can look like the record's again
    superseded = recorded is not None and found == recorded
    return superseded or presented.generation == generation - 1


def _trusted(found: bytes | None, record: Record | None, presented: DataTag | None) -> Judgement:
    """Nothing speaks against the data; what speaks for it?"""
    last = record.generation if record is not None else 0
    if found is not None and record is not None and found == record.tag:
        return Judgement(Freshness.VERIFIED, "the data is as the last session left it")
    if presented is not None and presented.generation >= last and found == presented.tag:
        return Judgement(Freshness.VERIFIED, "the data is as you left it")
    if record is not None and record.tag is None:
        why = "the last session was not closed properly, so it is not known what the data should be"
    elif presented is not None:
        why = (
            "others have claimed the data since you left it, and no record is kept of what they did"
        )
    else:
        why = "this is the first session that is known of, so there is nothing to compare the data with"
    return Judgement(Freshness.UNKNOWN, why)


class FreshnessLink(Protocol):
    """Who keeps the record. Any of these may raise PlatformError or OSError: it is not known, or not kept."""

    async def last_seen(self, uid: Uid) -> Record | None:
        """What is known of the user's database; None: nothing."""

    async def opened(self, uid: Uid, generation: Generation) -> None:
        """It is changed from now on; on disk when this returns."""

    async def left(self, uid: Uid, generation: Generation, tag: bytes) -> None:
        """It is closed, and is this; on disk when this returns."""


class NoLink:
    """Of a server that has nobody to tell: knows nothing, keeps nothing."""

    async def last_seen(self, uid: Uid) -> Record | None:  # noqa: ARG002  # the protocol's
        return None

    async def opened(self, uid: Uid, generation: Generation) -> None:
        pass

    async def left(self, uid: Uid, generation: Generation, tag: bytes) -> None:
        pass


class ChannelLink:
    """The wrapper keeps it."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def last_seen(self, uid: Uid) -> Record | None:
        return (await self._channel.ask(LastSeen(uid), Seen, deadlines.ATTEST_ANSWER)).record

    async def opened(self, uid: Uid, generation: Generation) -> None:
        await self._channel.ask(Opened(uid, generation), Kept, deadlines.ATTEST_ANSWER)

    async def left(self, uid: Uid, generation: Generation, tag: bytes) -> None:
        await self._channel.ask(Left(uid, generation, tag), Kept, deadlines.ATTEST_ANSWER)


@dataclass(frozen=True, slots=True)
class _Look:
    """At one user's data, before it was opened."""

    uid: Uid
    generation: Generation
    found: bytes | None
    record: Record | None
    again: bool


class Guard:
    """Freshness over the sessions of one process; asks the link, and remembers what this process did itself."""

    def __init__(self, link: FreshnessLink) -> None:
        self._link = link
        self._turn = (
            asyncio.Lock()
        )  # what is said of the end comes after what was said of the beginning
        self._look: _Look | None = None
        self._own: Record | None = None
        """What this process left behind, or that it has the database open."""

    async def look(self, uid: Uid, generation: Generation, found: Awaitable[bytes | None]) -> None:
        """Learn what is known, and what there is; before the database is opened.

        Raises:
            FreshnessUnavailableError: the link does not answer.
            PlatformError: as `found` does.
        """
        record, tag = await asyncio.gather(self._told(self._link.last_seen(uid)), found)
        if self._own is not None and (record is None or record.generation <= generation):
            record = self._own
        self._look = _Look(uid, generation, tag, record, self._own is not None)

    def judge(self, presented: DataTag | None, *, accept_older: bool) -> Judgement:
        """As `judge`, about the data that was looked at; also for a client that comes when it is open already."""
        look = self._known()
        return judge(
            look.found, look.record, presented, look.generation, accept_older, again=look.again
        )

    async def opened(self) -> None:
        """The key fits; nothing may be written before this has returned.

        Raises:
            FreshnessUnavailableError: it is not known whether that is on record.
        """
        look = self._known()
        self._own = Record(look.generation, None)
        async with self._turn:
            await self._told(self._link.opened(look.uid, look.generation))

    async def left(self, tag: bytes) -> None:
        """The database is closed; nothing is said if it was never `opened`.

        Raises:
            FreshnessUnavailableError: it is not on record.
        """
        look = self._known()
        if self._own is None or self._own.tag is not None:
            return
        self._own = Record(look.generation, tag)
        async with self._turn:
            await self._told(self._link.left(look.uid, look.generation, tag))

    def _known(self) -> _Look:
        if self._look is None:
            raise RuntimeError("nobody has looked at the database yet")
        return self._look

    async def _told(self, answer: Awaitable[T]) -> T:
        try:
            return await answer
        except (PlatformError, OSError) as error:
            raise FreshnessUnavailableError(
                f"it cannot be made sure that your data is the newest ({error}); try again"
            ) from error
