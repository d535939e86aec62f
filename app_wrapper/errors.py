"""What the wrapper refuses.

PlatformError
├── NotRunningError       the pool has not been started (mode `dynamic`)
├── DrainingError         the wrapper is leaving
├── AtCapacityError       as many servers as it may run
├── WrongApproachError    an order of another approach
├── NotStartedError       a user's server did not come up
├── StateDirError         the wrapper's own state cannot be kept
└── VolumeError           (see `app_wrapper.volumes`)
"""

from standby.errors import BadRequestError, UnavailableError


class NotRunningError(UnavailableError):
    code = "not_running"
    status = 409


class DrainingError(UnavailableError):
    code = "draining"


class AtCapacityError(UnavailableError):
    code = "at_capacity"


class WrongApproachError(BadRequestError):
    code = "wrong_approach"
    status = 409


class NotStartedError(UnavailableError):
    code = "not_started"


class StateDirError(UnavailableError):
    code = "state_dir_unusable"
