"""What the pool is held to: how many servers, how fast, and how long each step may take."""

from dataclasses import dataclass

from app_wrapper.backoff import Backoff


@dataclass(frozen=True, slots=True)
class Limits:
    """Counts, and durations in seconds."""

    capacity: int
    concurrent_starts: int
    starts_per_second: float
    start: float
    stop: float
    unclaimed: float
    login: float
    """From the moment at which a server is bound to a user to the user's LOGIN."""
    drain: float
    backoff: Backoff
    session: float
    """A server that is not one user's own is ACTIVE for at most this long."""
    open: float | None = None
    """From a granted claim to `DataOpened`; None: servers do not say when they have opened it."""
    channel: bool = False
    """Servers have channels. A server must be attested before it may be READY, or one user's own; and it must have
    passed on a user's proof before it may say LOGIN, unless it is the user's own."""
