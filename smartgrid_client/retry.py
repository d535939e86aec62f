"""When a request is sent again, decided without clock, network or hidden randomness.

A LONG_WRITE stores each reading once, however often it is sent, a changed or deleted alarm stays so, and the others
change nothing that a second time could spoil: they are repeated after every failure that another try can mend. New
alarms (WRITE) have no id yet: a WRITE is repeated only while it certainly has not been carried out.

Waits grow twofold up to a ceiling and are drawn evenly between half of that and all of it, so that clients which
failed together do not come back together; yet no wait is so short that it hammers a platform that is starting again.
"""

from dataclasses import dataclass

from smartgrid_client.errors import ClientError, SessionOverError
from smartgrid_client.requests import Operation
from standby.deadlines import CLIENT_BACKOFF, CLIENT_BACKOFF_FIRST, CLIENT_RETRY


@dataclass(frozen=True, slots=True)
class Policy:
    """Durations in seconds."""

    first: float = CLIENT_BACKOFF_FIRST
    """The longest wait after the first failure."""
    ceiling: float = CLIENT_BACKOFF
    """The longest wait of all."""
    deadline: float = CLIENT_RETRY
    """After the request was begun; no further try begins later. 0: never repeat."""

    def wait(
        self, operation: Operation, error: ClientError, attempt: int, elapsed: float, luck: float
    ) -> float | None:
        """Seconds to wait after the failed `attempt` (1, 2, …) before the next one; None: give up.

        `elapsed` is since the request was begun, `luck` is from [0, 1].
        """
        if not may_repeat(operation, error):
            return None
        if isinstance(error, SessionOverError) and attempt == 1:
            return 0.0  # nothing is overloaded; the next try begins with a LOGIN
        longest = min(self.ceiling, self.first * 2 ** min(attempt - 1, 30))
        wait = longest * (1 + luck) / 2
        return wait if elapsed + wait <= self.deadline else None


def may_repeat(operation: Operation, error: ClientError) -> bool:
    """Whether sending the request again can help and cannot harm."""
    match operation:
        case Operation.WRITE:
            return error.retry and not error.maybe_done
        case Operation.LOGOUT:
            return error.retry and not isinstance(error, SessionOverError)
        case _:
            return error.retry
