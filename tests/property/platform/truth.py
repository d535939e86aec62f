"""What really happened, told by the simulated parts where it happens; a broken promise fails right there.

Each WRITE and LONG_WRITE of the model has a number of its own and `PIECES` pieces, so that the database shows which are
there, how often, and whether whole.
"""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from smartgrid_server.messages import Alarm, Metric, Row
from standby.identity import Role
from standby.ids import BootId, Generation, Uid

PIECES: Final = 2
_CONTENTS: Final = f"""
    SELECT timestamp / {PIECES}, count(*), count(DISTINCT power) FROM metrics GROUP BY 1 UNION ALL
    SELECT CAST(threshold AS INTEGER), count(*), count(DISTINCT metric) FROM alarms GROUP BY 1
"""  # noqa: S608  # no input
_SUMMED: Final = """
    SELECT (SELECT coalesce(sum(power_count), 0) FROM hours) = (SELECT count(*) FROM metrics)
"""
_METRICS: Final = (Metric.POWER, Metric.TENSION)


def rows(number: int) -> list[Row]:
    """A batch of readings."""
    return [(number * PIECES + piece, float(piece), 1.0, 1.0) for piece in range(PIECES)]


def alarms(number: int) -> list[Alarm]:
    return [Alarm(metric=metric.value, threshold=float(number)) for metric in _METRICS]


@dataclass(frozen=True, slots=True)
class Proof:
    """What only a client of this user can make, and makes for the process that it is connected to."""

    uid: Uid
    boot_id: BootId


@dataclass(slots=True)
class Issued:
    """A token that a server gave to a client."""

    boot_id: BootId
    uid: Uid
    role: Role
    login_id: str
    until: float
    """By the server's clock."""
    over: bool = False
    """Logged out, taken back because its LOGIN was repeated, or its session has ended."""


class Writer(Protocol):
    """A server process as far as it matters here."""

    boot_id: BootId
    alive: bool

    @property
    def owner(self) -> "Owner":
        """The wrapper that started it."""


class Owner(Protocol):
    alive: bool


class Truth:
    def __init__(self, users: list[Uid]) -> None:
        self.users = users
        self.generations: dict[Uid, Generation] = dict.fromkeys(users, Generation(0))
        self.writers: dict[Uid, list[Writer]] = defaultdict(list)
        """Processes that were told of their user's volume."""
        self.served: dict[BootId, Uid] = {}
        self.issued: dict[str, Issued] = {}
        self.sent: dict[int, Uid] = {}
        """Whose each numbered write is."""
        self.acknowledged: dict[Uid, set[int]] = defaultdict(set)
        self.proofs: list[Proof] = []
        """All that clients made; whoever got one keeps it."""
        self.given_up: list[str] = []
        """Clients that ended by an error which they did not deserve."""

    def logs_in(self, proof: Proof) -> None:
        """A client sends its LOGIN to this process."""
        if proof not in self.proofs:
            self.proofs.append(proof)

    def claimed(self, uid: Uid, boot_id: BootId, generation: Generation) -> None:
        assert Proof(uid, boot_id) in self.proofs, f"{uid} never logged in where it was claimed"
        assert generation > self.generations[uid], "a generation came again"
        self.generations[uid] = generation

    def may_write(self, uid: Uid, server: Writer) -> None:
        """The process was told where the user's data is."""
        self.writers[uid] = [each for each in self.writers[uid] if each.alive]
        assert not self.writers[uid], f"two live processes hold the volume of {uid}"
        self.writers[uid].append(server)

    def serves(self, boot_id: BootId, uid: Uid) -> None:
        """The process did something for this user."""
        assert self.served.setdefault(boot_id, uid) == uid, "a process served two users"

    def welcomed(self, token: str, issued: Issued) -> None:
        """The process gave out a token; an earlier one of the same LOGIN is good no more."""
        self.serves(issued.boot_id, issued.uid)
        for each in self.issued.values():
            each.over |= (each.boot_id, each.login_id) == (issued.boot_id, issued.login_id)
        self.issued[token] = issued

    def accepted(self, boot_id: BootId, uid: Uid, role: Role, token: str, now: float) -> None:
        """The process carries out a request with this token; `now` by its clock."""
        issued = self.issued[token]
        assert (issued.boot_id, issued.uid, issued.role) == (boot_id, uid, role), (
            "a stranger's token"
        )
        assert not issued.over, "a token that is good no more"
        assert now < issued.until, "an expired token"

    def next_write(self, uid: Uid) -> int:
        number = len(self.sent) + 1
        self.sent[number] = uid
        return number

    def check_file(self, uid: Uid, connection: Any) -> None:
        """What was acknowledged is there, once; all else is there as a whole, once, or not at all."""
        stored = {}
        for number, count, different in connection.execute(_CONTENTS):
            assert self.sent.get(number) == uid, f"{uid} has data of {self.sent.get(number)}"
            assert count <= PIECES, f"write {number} is there more than once"
            assert count == different == PIECES, f"write {number} is there in part"
            stored[number] = count
        (summed,) = connection.execute(_SUMMED).fetchone()
        assert summed, "the sums by the hour are not those of the readings"
        (conflicts,) = connection.execute("SELECT count(*) FROM conflicts").fetchone()
        assert not conflicts, "a reading that was sent again was taken for another one"
        missing = self.acknowledged[uid] - stored.keys()
        assert not missing, f"acknowledged and lost: {missing}"


def files(directory: Path) -> dict[Path, bytes]:
    return {each: each.read_bytes() for each in directory.iterdir()}
