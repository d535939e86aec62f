"""A pool under test: boot ids that can be told apart, and actions sorted by kind."""

import itertools
from typing import Any, Final, TypeVar

from app_wrapper.actions import Action, Launch
from app_wrapper.backoff import Backoff
from app_wrapper.events import Bound, Login, Proved, Said, Waiting
from app_wrapper.limits import Limits
from app_wrapper.pool import Pool
from standby.ids import BootId, Generation, Uid
from standby.lines import Volume

ActionT = TypeVar("ActionT", bound=Action)
LIMITS: Final[dict[str, Any]] = {
    "capacity": 8,
    "concurrent_starts": 4,
    "starts_per_second": 100.0,
    "start": 30.0,
    "stop": 4.0,
    "unclaimed": 20.0,
    "login": 12.0,
    "drain": 15.0,
    "session": 1000.0,
    "backoff": Backoff(1.0, 8.0),
}


def make_pool(size: int, **limits: Any) -> Pool:
    numbers = itertools.count(1)
    return Pool(size, Limits(**{**LIMITS, **limits}), lambda: BootId(f"{next(numbers):016x}"))


def only(kind: type[ActionT], actions: list[Action]) -> list[ActionT]:
    return [each for each in actions if isinstance(each, kind)]


def launched(actions: list[Action]) -> list[BootId]:
    return [each.boot_id for each in only(Launch, actions)]


def bring_up(pool: Pool, boot_id: BootId, now: float = 0.0) -> list[Action]:
    """The process exists and waits for a user."""
    return pool.launched(boot_id, 4000, now) + pool.said(boot_id, Waiting(), now)


def log_in(pool: Pool, boot_id: BootId, uid: str = "anna", now: float = 0.0) -> list[Action]:
    """A user comes, logs in and gets the data."""
    user, volume = Uid(uid), Volume(f"/volumes/{uid}/data", Generation(1))
    came: list[Said] = [Bound(user), Proved(user)] if pool.limits.channel else []
    actions = [action for said in (*came, Login(user)) for action in pool.said(boot_id, said, now)]
    return actions + pool.answered(boot_id, volume, now)


def running(size: int, **limits: Any) -> tuple[Pool, list[BootId]]:
    """A pool all of whose servers are READY."""
    pool = make_pool(size, **limits)
    waiting = launched(pool.start(0.0))
    boots = []
    while waiting:
        boots.append(waiting.pop(0))
        waiting += launched(bring_up(pool, boots[-1]))
    return pool, boots
