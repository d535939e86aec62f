"""What callers of the Routing Manager can be told.

PlatformError
├── BadRequestError ── BadNameError, BadReportError
├── ForbiddenError ── WrongWrapperError, RoutesElsewhereError
├── NotFoundError ── UnknownWrapperError
└── UnavailableError
    ├── RefusedError ── NoCapacityError, NotSettledError, StoppingError
    ├── TooManyFollowersError
    └── WrapperUnreachableError
"""

from routing_manager.outcomes import Refusal
from standby.errors import BadRequestError, ForbiddenError, NotFoundError, UnavailableError


class BadNameError(BadRequestError):
    """The name asked for is not a user id."""

    code = "bad_name"


class BadReportError(BadRequestError):
    """A report says what a wrapper cannot know or mean."""

    code = "bad_report"


class WrongWrapperError(ForbiddenError):
    """A wrapper spoke for another one."""

    code = "wrong_wrapper"


class RoutesElsewhereError(ForbiddenError):
    """Routes are given over the Unix socket alone."""

    code = "routes_elsewhere"


class UnknownWrapperError(NotFoundError):
    code = "unknown_wrapper"


class RefusedError(UnavailableError):
    """No server for this user now."""


class NoCapacityError(RefusedError):
    code = "no_capacity"


class NotSettledError(RefusedError):
    code = "not_settled"


class StoppingError(RefusedError):
    code = "stopping"


class TooManyFollowersError(UnavailableError):
    code = "too_many_followers"


class WrapperUnreachableError(UnavailableError):
    """An order could not be handed to a wrapper."""

    code = "wrapper_unreachable"
    status = 502


def refused(reason: Refusal, source: str | None) -> RefusedError:
    """The error that tells a caller about `reason`, and what to do; the log says where the client came from."""
    error = _refusal(reason)
    error.about = {"reason": reason, "source": source}
    return error


def _refusal(reason: Refusal) -> RefusedError:
    match reason:
        case Refusal.ROOM_FULL:
            return NoCapacityError("every server is taken and the waiting room is full; come again")
        case Refusal.TIMED_OUT:
            return NoCapacityError("no server became free in time; come again")
        case Refusal.NOT_SETTLED:
            return NotSettledError("just started, the wrappers have not reported yet; come again")
        case Refusal.STOPPING:
            return StoppingError("the Routing Manager is stopping; come again")
        case Refusal.FAILED:
            return NoCapacityError("an error on our side; the log has it. Come again")
        case Refusal.BAD_NAME:
            raise ValueError("a bad name is refused where it is parsed")
