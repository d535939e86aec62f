"""How users' data gets in and out: the contract of volume providers.

A provider turns a user id into a directory, for one server process at a time, and back.

    claim    exclusive, also between two slots of one wrapper and between wrappers. It gives path and generation, which
             only grows and is on disk before `claim` returns; or it refuses and names the holder's boot id. A claim
             whose wrapper has died is taken over, but only after the server it was made for is certainly gone.
    release  ends the claim of exactly that generation. An older one is refused and changes nothing.
    recover  gives back what an earlier life of this wrapper left claimed.
    list     every volume, with its last generation and its holder.

Where the wrapper is root, a server may have a uid of its own. What is in the directory is then that uid's while it is
claimed for the server, and root's from `release` or `recover` on; who claims it next takes it back if nobody did. What
that is, and how much it can become, is in `data`.

Copies of volumes, which a session cannot destroy, have a contract of their own: `copies`.

All calls may block (they write to disk and wait for processes), so they never run on the event loop; `Desk` sees to
that. `tests/support/volume_contract.py` is the contract as tests; a new provider passes it unchanged.

    PlatformError
    └── VolumeError
        ├── UnknownUserError         there is no such volume
        ├── ClaimedElsewhereError    held by another process; `boot_id` names it
        ├── VolumeUnavailableError   the provider cannot, now
        ├── VolumeDamagedError       something is missing in it, or may not be given to a server
        ├── VolumeOverLimitError     there is more in it than there may be
        ├── StaleReleaseError        a release of a claim that is not the present one
        └── VolumeExistsError
"""

from dataclasses import dataclass
from typing import Protocol

from msgspec import Struct

from standby.errors import PlatformError
from standby.ids import (
    BootId,
    BootIdField,
    Count,
    EpochField,
    Generation,
    Uid,
    WrapperId,
    WrapperIdField,
)
from standby.lines import Volume
from standby.processes import OsUid, Pid


class VolumeError(PlatformError):
    code = "volume_error"


class UnknownUserError(VolumeError):
    code = "unknown_user"
    status = 404


class ClaimedElsewhereError(VolumeError):
    code = "claimed_elsewhere"
    status = 409
    retry = True

    def __init__(self, message: str, boot_id: BootId | None = None) -> None:
        super().__init__(message)
        self.boot_id = boot_id
        """The process that holds it; None while a claim is being made."""


class VolumeUnavailableError(VolumeError):
    code = "volume_unavailable"
    status = 503
    retry = True


class VolumeDamagedError(VolumeError):
    """An operator has to mend it; the text says how."""

    code = "volume_damaged"
    status = 409


class VolumeOverLimitError(VolumeError):
    """An operator has to mend it; the text says how."""

    code = "volume_over_limit"
    status = 409


class StaleReleaseError(VolumeError):
    code = "stale_generation"
    status = 409


class VolumeExistsError(VolumeError):
    code = "volume_exists"
    status = 409


class Holder(Struct, frozen=True, kw_only=True):
    """The process a volume is claimed for."""

    wrapper_id: WrapperIdField
    epoch: EpochField
    boot_id: BootIdField
    pid: Pid | None = None
    """None for a server that is not a process of this machine."""
    start_time: Count | None = None
    """Of the process, in ticks since the machine's boot; with the pid it names one process for good."""
    server_uid: OsUid | None = None
    """The uid of its own that it has; None: it has the wrapper's."""


@dataclass(frozen=True, slots=True)
class VolumeInfo:
    uid: Uid
    generation: Generation
    """Of the last claim; 0 if there was none."""
    holder: Holder | None
    """Who holds it, or held it and died."""


class Volumes(Protocol):
    """A provider; see the module's text for what it promises."""

    def claim(self, uid: Uid, holder: Holder) -> Volume:
        """Claim the user's volume for the holder.

        Raises:
            UnknownUserError, ClaimedElsewhereError, VolumeUnavailableError, VolumeDamagedError, VolumeOverLimitError:
                it is not claimed.
        """

    def release(self, uid: Uid, generation: Generation) -> None:
        """Give the volume back.

        Raises:
            StaleReleaseError: that is not the present claim, and nothing was changed.
        """

    def recover(self, wrapper_id: WrapperId) -> list[Uid]:
        """Give back what an earlier life of the wrapper left claimed; returns whose volumes those were."""

    def list(self) -> list[VolumeInfo]:
        """Every volume, by user id."""

    def exists(self, uid: Uid) -> bool:
        """Whether the user has a volume."""

    def close(self) -> None:
        """Let go of everything, as the wrapper's death would."""
