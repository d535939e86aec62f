"""The API's requests as values: encoded once, sent as often as needed, timed without their preparation."""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, Generic, Self, TypeVar

import msgspec

from smartgrid_client.batches import Batch
from smartgrid_client.messages import (
    Alarm,
    AlarmDeleted,
    AlarmsPage,
    Averages,
    ConflictsPage,
    Freshness,
    LoggedOut,
    Login,
    LoginChallenge,
    LoginProof,
    Metric,
    Shown,
    Stored,
    StoredAlarm,
)
from standby.secret import Secret

ReplyT_co = TypeVar("ReplyT_co", covariant=True)
ATTEST_PATH: Final = "/v1/attest"
"""The one request that a server gets before it was verified (`smartgrid_client.verified`)."""
MOST_EDGES: Final = 121
"""Of one request, whose line servers read up to 2,048 bytes; an edge has 12 digits at most, and an encoded comma."""


class Operation(StrEnum):
    """The dissertation's operations (section 3.3), and what one does with alarms and conflicts."""

    LOGIN = "LOGIN"
    WRITE = "WRITE"
    LONG_WRITE = "LONG_WRITE"
    QUERY_AVG = "QUERY_AVG"
    ALARMS = "ALARMS"
    CHANGE_ALARM = "CHANGE_ALARM"
    DELETE_ALARM = "DELETE_ALARM"
    CONFLICTS = "CONFLICTS"
    LOGOUT = "LOGOUT"


@dataclass(frozen=True, slots=True)
class Request(Generic[ReplyT_co]):
    operation: Operation
    method: str
    path: str
    reply: type[ReplyT_co]
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = field(default=None, repr=False)
    """JSON. LOGIN's holds the user's key, so no body is ever shown."""
    divisible: bool = False
    """Whether what it sends can be sent in two parts instead."""

    def with_proof(self, proof: LoginProof | None) -> Self:
        """This LOGIN with the user's proof for the server that gets it."""
        if proof is None or self.body is None:
            return self
        members = self.body.removesuffix(b"}")  # of an object that is not empty
        return replace(self, body=members + b',"proof":' + msgspec.json.encode(proof) + b"}")


def attest(operation: Operation, challenge: bytes) -> Request[Shown]:
    """Asks the server for evidence about itself; `operation` is what needs the connection."""
    body = msgspec.json.encode({"challenge": challenge})
    return Request(operation, "POST", ATTEST_PATH, Shown, body=body)


def login_challenge() -> Request[LoginChallenge]:
    """Asks what a LOGIN has to prove, for a client that asks for no evidence."""
    return Request(Operation.LOGIN, "GET", "/v1/login-challenge", LoginChallenge)


def login(
    key: Secret, freshness: Freshness | None = None, *, accept_older: bool = False
) -> Request[Login]:
    """However often it is sent, one token remains: the server knows a repeated one by its id.

    Args:
        key: of the user's database
        freshness: what this client kept of the last time; older data are refused then
        accept_older: take older data all the same
    """
    known = {} if freshness is None else {"freshness": freshness}
    accepting = {"accept_older": True} if accept_older else {}
    login_id = secrets.token_hex(8)
    body = msgspec.json.encode(
        {"key": key.reveal().hex(), "login_id": login_id, **known, **accepting}
    )
    return Request(Operation.LOGIN, "POST", "/v1/login", Login, body=body)


def logout() -> Request[LoggedOut]:
    return Request(Operation.LOGOUT, "POST", "/v1/logout", LoggedOut)


def write(alarms: Iterable[Alarm]) -> Request[Stored]:
    body = msgspec.json.encode({"alarms": list(alarms)})
    return Request(Operation.WRITE, "POST", "/v1/write", Stored, body=body)


def change_alarm(number: int, alarm: Alarm) -> Request[StoredAlarm]:
    """Gives the alarm of that id another metric and threshold."""
    path, body = f"/v1/alarms/{number}", msgspec.json.encode(alarm)
    return Request(Operation.CHANGE_ALARM, "PUT", path, StoredAlarm, body=body)


def delete_alarm(number: int) -> Request[AlarmDeleted]:
    return Request(Operation.DELETE_ALARM, "DELETE", f"/v1/alarms/{number}", AlarmDeleted)


def long_write(batch: Batch, *, correct: bool = False) -> Request[Stored]:
    """Stores readings; `correct`: in the place of what is stored for their times."""
    correcting = {"correct": True} if correct else {}
    body = msgspec.json.encode({"rows": batch.rows, **correcting})
    return Request(
        Operation.LONG_WRITE,
        "POST",
        "/v1/long-write",
        Stored,
        body=body,
        divisible=len(batch.rows) > 1,
    )


def query_avg(
    metric: Metric, start: int | None = None, end: int | None = None, bucket: int | None = None
) -> Request[Averages]:
    """Averages over `start` <= t < `end` (Unix seconds; None: open), in buckets of `bucket` seconds if given."""
    bounds = (("start", start), ("end", end), ("bucket", bucket))
    given = ((name, str(value)) for name, value in bounds if value is not None)
    query = (("metric", metric.value), *given)
    return Request(Operation.QUERY_AVG, "GET", "/v1/query-avg", Averages, query=query)


def query_avg_between(metric: Metric, edges: Sequence[int]) -> Request[Averages]:
    """Averages from each of the edges (Unix seconds, rising) to the next; `MOST_EDGES` at most."""
    query = (("metric", metric.value), ("edges", ",".join(map(str, edges))))
    return Request(Operation.QUERY_AVG, "GET", "/v1/query-avg", Averages, query=query)


def alarms(after: int = 0) -> Request[AlarmsPage]:
    """A page of the stored alarms whose id is greater than `after`."""
    query = (("after", str(after)),)
    return Request(Operation.ALARMS, "GET", "/v1/alarms", AlarmsPage, query=query)


def conflicts(after: int = 0) -> Request[ConflictsPage]:
    """A page of the conflicts whose id is greater than `after`."""
    query = (("after", str(after)),)
    return Request(Operation.CONFLICTS, "GET", "/v1/conflicts", ConflictsPage, query=query)
