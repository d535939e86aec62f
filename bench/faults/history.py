"""What each client and the injector wrote down: one JSON object a line, flushed, so that it outlives its writer.

A client's call is one request with all its repetitions, the LOGINs among them included. It is written down before its
first try, with all that is needed to know what may be stored because of it. Each try follows when its outcome is known.
Times are seconds of the bench process's monotonic clock, which is the machine's, so histories can be laid side by side.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Self

import msgspec
from msgspec import Struct

from bench.faults.plan import Deed, Kind
from smartgrid_client.requests import Operation


class Opened(Struct, frozen=True, kw_only=True, tag="client"):
    """The first line: whose history this is."""

    uid: str
    user: int
    """The user's number, which is in every row."""
    role: str


class Call(Struct, frozen=True, kw_only=True, tag="call", omit_defaults=True):
    """A request that is about to be sent."""

    call: int
    operation: Operation
    at: float
    batch: int | None = None
    """The batch of a LONG_WRITE; the same in a later call that sends it again."""
    rows: int = 0
    alarms: tuple[int, ...] = ()
    """The numbers of a WRITE's alarms."""


class Try(Struct, frozen=True, kw_only=True, tag="try", omit_defaults=True):
    """One try of a call, and what came of it."""

    call: int
    operation: Operation
    """LOGIN, too, in calls of others: the session was opened again on the way."""
    sent: float
    answered: float
    """Or given up."""
    opened: float | None = None
    """When the connection that it was to use was opened; None: there was none, it had to open one."""
    reopened: bool = False
    """There was one, but it was found closed, and another one was opened."""
    code: str | None = None
    """Of the failure; None: done."""
    text: str = ""
    """The error in words."""
    final: bool = False
    """It failed in a way that another try cannot mend."""
    maybe_done: bool = False
    """It failed, but may have been carried out."""
    boot_id: str | None = None
    """The process that gave the session, and the generation under which."""
    generation: int | None = None
    duplicate: bool = False
    """The batch was there already."""
    repeated: bool = False
    """Another try follows in the same call."""

    @property
    def failed(self) -> bool:
        return self.code is not None


class Closing(Struct, frozen=True, kw_only=True, tag="closing"):
    """The clients were asked to end; what follows is the one last LOGIN, when all parts run again."""

    at: float


class Injected(Struct, frozen=True, kw_only=True, tag="fault"):
    """One fault that was carried out."""

    number: int
    kind: Kind
    deed: Deed
    name: str
    """`w1`, `haproxy`, …; of a server: its wrapper."""
    pid: int
    """0: of a stranger."""
    began: float
    """Just before the signal, or the first connection of a flood."""
    ended: float
    """The part was ready again, or the server was gone; after SIGCONT for a stop."""
    back: bool
    """False: it was not back within the time for it, and the run went on."""
    boot_id: str | None = None
    """Of a server."""
    uid: str | None = None
    """Whose data a server had open."""


Record = Opened | Call | Try | Closing
_RECORDS = msgspec.json.Decoder(Record)
_FAULTS = msgspec.json.Decoder(Injected)


class Writer:
    """Appends records to a file; each is with the system when `write` returns."""

    def __init__(self, file: Path) -> None:
        self._stream: IO[bytes] = file.open("ab", buffering=0)

    def write(self, record: Struct) -> None:
        self._stream.write(msgspec.json.encode(record) + b"\n")

    def close(self) -> None:
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class History(Struct, frozen=True, kw_only=True):
    """One client's, in the order in which it was written."""

    file: str
    opened: Opened
    calls: dict[int, Call]
    tries: list[Try]
    closing: float | None = None
    """When the clients were asked to end."""

    @property
    def tries_by_call(self) -> dict[int, list[Try]]:
        found: dict[int, list[Try]] = {number: [] for number in self.calls}
        for each in self.tries:
            found[each.call].append(each)
        return found


def history(file: str, records: Iterable[Record]) -> History:
    """A client's history from its records.

    Raises:
        ValueError: the first is not `Opened`.
    """
    remaining = iter(records)
    opened = next(remaining, None)
    if not isinstance(opened, Opened):
        raise ValueError(f"{file} does not begin with the client's name")  # noqa: TRY004  # a fault of the data
    calls: dict[int, Call] = {}
    tries: list[Try] = []
    closing = None
    for record in remaining:
        match record:
            case Call():
                calls[record.call] = record
            case Try():
                tries.append(record)
            case Closing():
                closing = record.at
            case Opened():
                raise ValueError(f"{file} holds two clients")
    return History(file=file, opened=opened, calls=calls, tries=tries, closing=closing)


def read(file: Path) -> History:
    return history(str(file), (_RECORDS.decode(line) for line in file.read_bytes().splitlines()))


def read_faults(file: Path) -> list[Injected]:
    if not file.exists():
        return []
    return [_FAULTS.decode(line) for line in file.read_bytes().splitlines()]


class LoginWait(Struct, frozen=True, kw_only=True):
    """From a client's first try to log in to its success."""

    began: float
    ended: float
    succeeded: bool
    final: bool
    """It is the one after the faults."""

    @property
    def seconds(self) -> float:
        return self.ended - self.began


def login_waits(of: History) -> Iterator[LoginWait]:
    """Every wait of this client for a LOGIN, over all calls it took; `Closing` ends one that goes on."""
    first: Try | None = None
    last: Try | None = None

    def wait(*, succeeded: bool) -> LoginWait:
        if first is None or last is None:
            raise ValueError("no LOGIN was tried")
        final = of.closing is not None and first.sent >= of.closing
        return LoginWait(began=first.sent, ended=last.answered, succeeded=succeeded, final=final)

    for each in of.tries:
        if each.operation is not Operation.LOGIN:
            continue
        if first is not None and of.closing is not None and first.sent < of.closing <= each.sent:
            yield wait(succeeded=False)
            first = None
        first, last = first or each, each
        if not each.failed:
            yield wait(succeeded=True)
            first = None
    if first is not None:
        yield wait(succeeded=False)
