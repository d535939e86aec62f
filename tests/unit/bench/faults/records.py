"""Histories for tests, written as short as they are read."""

from bench.faults.history import Call, History, Record, Try, history
from bench.faults.history import Opened as Client
from smartgrid_client.requests import Operation

LOGIN, LONG_WRITE, WRITE, LOGOUT = (
    Operation.LOGIN,
    Operation.LONG_WRITE,
    Operation.WRITE,
    Operation.LOGOUT,
)
BOOT_IDS = {generation: f"{generation:016x}" for generation in range(1, 10)}


def made(*records: Record, uid: str = "user-1", user: int = 1, role: str = "meter") -> History:
    """A client's history."""
    first = Client(uid=uid, user=user, role=role)
    return history(f"{uid}-{role}.jsonl", [first, *records])


def tried(
    call: int,
    operation: Operation,
    sent: float = 0.0,
    answered: float | None = None,
    *,
    code: str | None = None,
    maybe_done: bool = False,
    generation: int | None = 1,
    boot_id: str | None = None,
    duplicate: bool = False,
    opened: float | None = None,
    reopened: bool = False,
) -> Try:
    """A try; a millisecond long if nothing else is said."""
    return Try(
        call=call,
        operation=operation,
        sent=sent,
        answered=sent + 0.001 if answered is None else answered,
        code=code,
        maybe_done=maybe_done,
        generation=generation,
        boot_id=boot_id or BOOT_IDS.get(generation or 0),
        duplicate=duplicate,
        opened=opened,
        reopened=reopened,
    )


def batch(call: int, number: int, rows: int, *tries: Try) -> list[Record]:
    """A LONG_WRITE and its tries; acknowledged at once if there are none."""
    begun = Call(call=call, operation=LONG_WRITE, at=0.0, batch=number, rows=rows)
    return [begun, *(tries or [tried(call, LONG_WRITE)])]


def alarms(call: int, numbers: tuple[int, ...], *tries: Try) -> list[Record]:
    """A WRITE and its tries; acknowledged at once if there are none."""
    begun = Call(call=call, operation=WRITE, at=0.0, alarms=numbers)
    return [begun, *(tries or [tried(call, WRITE)])]


def unanswered(call: int, generation: int = 1) -> Try:
    return tried(call, LONG_WRITE, code="unanswered", maybe_done=True, generation=generation)


def logins(call: int, *tries: Try) -> list[Record]:
    return [Call(call=call, operation=LOGIN, at=0.0), *tries]
