"""What the server refuses, with stable codes.

PlatformError
├── BadRequestError (400)
│   ├── UnknownMetricError        unknown_metric
│   ├── EmptyPeriodError          empty_period
│   ├── TooManyBucketsError       too_many_buckets
│   ├── ProofRequiredError        login_proof_required
│   └── BodyUnreadableError       malformed
├── TooLargeError (413)
│   ├── BatchTooLargeError        batch_too_large
│   ├── TooManyAlarmsError        too_many_alarms
│   └── NotEnoughMemoryError      not_enough_memory  ask for less at a time
├── ForbiddenError (403)
│   ├── WrongUserError            wrong_user
│   └── ProofRefusedError         login_proof_refused
├── UnauthorizedError (401)
│   ├── WrongKeyError             wrong_key
│   ├── TokenRequiredError        token_required
│   ├── UnknownTokenError         unknown_token
│   ├── StaleTokenError           stale_token
│   └── ExpiredTokenError         expired_token
├── NotFoundError (404)
│   ├── UnknownUserError          unknown_user
│   └── UnknownAlarmError         unknown_alarm
├── ConflictError (409)
│   ├── ServerTakenError          server_taken       connect again: another process will answer
│   ├── SessionOverError          session_over       connect again
│   ├── ClaimedElsewhereError     claimed_elsewhere  come again: another process still holds the data
│   ├── StaleChallengeError       stale_challenge    connect again: the proof is for another process
│   ├── VolumeDamagedError        volume_damaged     the operator has to mend the user's volume
│   ├── VolumeOverLimitError      volume_over_limit  the operator has to mend the user's volume
│   ├── OlderDataError            older_data         restore the newest copy, or accept an older one
│   └── DatabaseNewerError        database_newer     the operator has to bring servers up to date
├── UnavailableError (503)
│   ├── VolumeUnavailableError    volume_unavailable
│   ├── FreshnessUnavailableError freshness_unavailable
│   ├── ProofUnavailableError     login_proof_unavailable
│   ├── KeyMemoryError            key_memory_unavailable
│   ├── DatabaseInUseError        database_in_use
│   └── DatabaseSlowError         database_slow
├── BodyTooSlowError (408)        body_too_slow
├── TooManyRequestsError (429)    too_many_requests  before LOGIN on one connection
└── DatabaseError (500)
    ├── DatabaseMissingError      database_missing
    ├── DatabaseDamagedError      database_damaged
    ├── DatabaseExistsError       database_exists    never over HTTP: only `create` raises it
    ├── StorageFullError (507)    storage_full
    └── StorageFailedError        storage_failed
"""

from standby.errors import (
    BadRequestError,
    ForbiddenError,
    NotFoundError,
    PlatformError,
    TooLargeError,
    UnavailableError,
)
from standby.logs import Level
from standby.states import StopReason


class UnknownMetricError(BadRequestError):
    code = "unknown_metric"


class EmptyPeriodError(BadRequestError):
    """The start of a period is not before its end."""

    code = "empty_period"


class TooManyBucketsError(BadRequestError):
    code = "too_many_buckets"


class ProofRequiredError(BadRequestError):
    """LOGIN without the user's proof, at a server that needs it."""

    code = "login_proof_required"


class BodyUnreadableError(BadRequestError):
    """The body is compressed, or its transfer encoding is broken."""

    code = "malformed"


class BatchTooLargeError(TooLargeError):
    code = "batch_too_large"


class TooManyAlarmsError(TooLargeError):
    code = "too_many_alarms"


class NotEnoughMemoryError(TooLargeError):
    """The work takes more memory than a server may have."""

    code = "not_enough_memory"


class WrongUserError(ForbiddenError):
    """The client's certificate is another user's than the name that was asked for."""

    code = "wrong_user"


class ProofRefusedError(ForbiddenError):
    """The proof is not the user's for this server."""

    code = "login_proof_refused"


class UnauthorizedError(PlatformError):
    code = "unauthorized"
    status = 401


class WrongKeyError(UnauthorizedError):
    """The database does not open with this key."""

    code = "wrong_key"


class TokenRequiredError(UnauthorizedError):
    code = "token_required"


class UnknownTokenError(UnauthorizedError):
    """Never given out by this process to this role, or logged out already."""

    code = "unknown_token"


class StaleTokenError(UnauthorizedError):
    """Given out under another generation of the claim of the user's volume."""

    code = "stale_token"


class ExpiredTokenError(UnauthorizedError):
    code = "expired_token"


class UnknownUserError(NotFoundError):
    """The platform has no volume for this user."""

    code = "unknown_user"


class UnknownAlarmError(NotFoundError):
    """The user has no alarm of this id, or no longer."""

    code = "unknown_alarm"


class ConflictError(PlatformError):
    code = "conflict"
    status = 409


class ServerTakenError(ConflictError):
    """This process belongs to another user, for good."""

    code = "server_taken"
    retry = True


class SessionOverError(ConflictError):
    """This process's session has ended, and it ends with it."""

    code = "session_over"
    retry = True


class ClaimedElsewhereError(ConflictError):
    """Another process holds the user's volume."""

    code = "claimed_elsewhere"
    retry = True


class VolumeDamagedError(ConflictError):
    """Something is missing in the user's volume, or may not be given to a server."""

    code = "volume_damaged"


class VolumeOverLimitError(ConflictError):
    """There is more in the user's volume than there may be."""

    code = "volume_over_limit"


class StaleChallengeError(ConflictError):
    """The proof answers the challenge of another server process."""

    code = "stale_challenge"
    retry = True


class OlderDataError(ConflictError):
    """The user's data is not what it was when it was last closed."""

    code = "older_data"
    level = Level.ERROR


class DatabaseNewerError(ConflictError):
    """The database was written by a newer version of this program."""

    code = "database_newer"
    level = Level.ERROR


class VolumeUnavailableError(UnavailableError):
    code = "volume_unavailable"


class FreshnessUnavailableError(UnavailableError):
    """Who keeps the tags of the data does not answer, so nobody is let in."""

    code = "freshness_unavailable"


class ProofUnavailableError(UnavailableError):
    """The wrapper does not say whether the proof holds."""

    code = "login_proof_unavailable"


class KeyMemoryError(UnavailableError):
    """There is no locked memory for the key, and the settings require it."""

    code = "key_memory_unavailable"


class DatabaseInUseError(UnavailableError):
    """Another process has the file open, although the volume was claimed for this one."""

    code = "database_in_use"


class DatabaseSlowError(UnavailableError):
    """The storage did not answer in time; the work may still be done later."""

    code = "database_slow"


class BodyTooSlowError(PlatformError):
    code = "body_too_slow"
    status = 408
    retry = True


class TooManyRequestsError(PlatformError):
    code = "too_many_requests"
    status = 429
    retry = True


class DatabaseError(PlatformError):
    """Something is wrong with the database itself; the same again fails the same way."""

    code = "database_failed"
    level = Level.ERROR


class DatabaseMissingError(DatabaseError):
    code = "database_missing"


class DatabaseDamagedError(DatabaseError):
    code = "database_damaged"


class DatabaseExistsError(DatabaseError):
    code = "database_exists"


class StorageFullError(DatabaseError):
    code = "storage_full"
    status = 507
    retry = True


class StorageFailedError(DatabaseError):
    """The file system refused to read or write."""

    code = "storage_failed"
    retry = True


def stop_reason(error: BaseException) -> StopReason:
    """Why a process ends whose database could not be opened, as its wrapper is told."""
    match error:
        case DatabaseDamagedError() | DatabaseMissingError():
            return StopReason.DATA_DAMAGED
        case OlderDataError():
            return StopReason.OLDER_DATA
        case StorageFullError() | StorageFailedError():
            return StopReason.STORAGE_FAILED
        case _:
            return StopReason.REFUSED
