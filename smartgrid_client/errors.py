"""What can go wrong between a client and its server. Whether a retry helps is a property of the error.

    ClientError                      retry, maybe_done
    ├── UnreachableError             no TCP connection: wrong address, or nobody listens           retry
    ├── UnknownHostError             the address is a name that no host has
    ├── BusyError                    the platform has no server now (TLS alert, closed handshake)  retry
    │   └── AwayError                the part of it that knows the servers is away (TLS alert)     retry
    ├── ServerNotTrustedError        the server's certificate does not verify
    │   └── ServerNotValidNowError   by its dates and this machine's clock: one of the two is wrong
    ├── NotAttestedError             the server is not shown to be what the policy admits
    ├── NotVerifiedError             it could not be asked now; nothing else was sent                retry
    ├── CertificateRefusedError      the server, or the load balancer, refused ours or our name
    ├── UnansweredError              sent, and then the connection or the patience ended           retry, maybe done
    ├── UnexpectedAnswerError        an answer that is not of this API                             maybe done
    └── RefusedError                 the server said no, with a code; nothing was done
        ├── SessionOverError         the token is unknown or expired: LOGIN first                  retry
        ├── NotAllowedError          this certificate may not do that, now or later
        ├── TooLargeError            more than the server takes at once
        ├── NotNowError              another user's server, claimed elsewhere, too slow            retry
        └── ServerFailedError        its own fault                                                 retry, maybe done
                                     (a refusal that would repeat is a plain RefusedError)

`maybe_done` decides about WRITE: what may have been done is not sent again, because alarms have no id of their own.
"""

from typing import ClassVar, Final

from smartgrid_client.admission import NotAdmitted
from standby.errors import PlatformError
from standby.messages import ErrorDetail

UNAUTHORIZED: Final = 401
FORBIDDEN: Final = 403
TOO_LARGE: Final = 413
SERVER_FAULT: Final = 500
NOT_NOW: Final = frozenset({408, 409, 429})
SESSION_OVER: Final = "session_over"
"""A conflict by its status: the process that answered ends together with its session."""
FINAL: Final = frozenset(
    {
        "wrong_key",
        "database_missing",
        "database_newer",
        "database_damaged",
        "older_data",
        "volume_damaged",
        "volume_over_limit",
    }
)
"""Codes whose status would allow another try, but which would come again."""


class ClientError(PlatformError):
    code = "client_error"
    maybe_done: ClassVar[bool] = False
    """Whether the server may have carried the request out."""

    @property
    def reason(self) -> str:
        """The stable code: the server's where it gave one, else this class's."""
        return self.code


class UnreachableError(ClientError):
    code = "unreachable"
    retry = True


class UnknownHostError(ClientError):
    code = "unknown_host"


class BusyError(ClientError):
    code = "platform_busy"
    retry = True


class AwayError(BusyError):
    """The platform is not full: who has no session there cannot be routed until its Routing Manager is back."""

    code = "platform_away"


class ServerNotTrustedError(ClientError):
    code = "server_not_trusted"


class ServerNotValidNowError(ServerNotTrustedError):
    code = "server_not_valid_now"


class CertificateRefusedError(ClientError):
    code = "certificate_refused"


class NotAttestedError(ClientError):
    """Nothing but a challenge was sent. Another try is another server's chance to be better, and is not given."""

    code = "not_attested"

    def __init__(self, report: NotAdmitted) -> None:
        super().__init__(f"{report.text}; nothing but a challenge was sent to it")
        self.report = report

    @property
    def reason(self) -> str:
        return self.report.code


class NotVerifiedError(ClientError):
    """The challenge was not answered, or not now; `reason` is that of what happened to it."""

    code = "not_verified"
    retry = True

    def __init__(self, happened: ClientError) -> None:
        super().__init__(f"the server was not verified, and nothing else was sent: {happened}")
        self._happened = happened

    @property
    def reason(self) -> str:
        return self._happened.reason


class UnansweredError(ClientError):
    code = "unanswered"
    retry = True
    maybe_done = True


class UnexpectedAnswerError(ClientError):
    code = "unexpected_answer"
    maybe_done = True


class RefusedError(ClientError):
    """An answer with an error body."""

    code = "refused"

    def __init__(self, status: int, detail: ErrorDetail) -> None:
        super().__init__(detail.message)
        self.http_status = status
        self.detail = detail

    @property
    def reason(self) -> str:
        return self.detail.code

    def __str__(self) -> str:
        return f"{self.detail.message} (error id {self.detail.id})"


class SessionOverError(RefusedError):
    retry = True


class NotAllowedError(RefusedError):
    """A meter asks for averages, say, or a customer sends readings: all requests like it would be refused."""


class TooLargeError(RefusedError):
    """More than the server takes at once; parts of it may be taken."""


class NotNowError(RefusedError):
    retry = True


class ServerFailedError(RefusedError):
    retry = True
    maybe_done = True


ENDING: Final = (
    NotAllowedError,
    NotAttestedError,
    ServerNotTrustedError,
    CertificateRefusedError,
    UnknownHostError,
)
"""After one of these no further request of a run could do better."""


_KINDS: Final[dict[int, type[RefusedError]]] = {
    UNAUTHORIZED: SessionOverError,
    FORBIDDEN: NotAllowedError,
    TOO_LARGE: TooLargeError,
    **dict.fromkeys(NOT_NOW, NotNowError),
}


def refusal(status: int, detail: ErrorDetail) -> RefusedError:
    """The error for an HTTP status of 400 and above with its decoded body."""
    if detail.code in FINAL:
        kind = RefusedError
    elif detail.code == SESSION_OVER:
        kind = SessionOverError
    else:
        kind = _KINDS.get(status, ServerFailedError if status >= SERVER_FAULT else RefusedError)
    return kind(status, detail)
