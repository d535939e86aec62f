"""What the server answers, as small records. Field names are the API's; unknown fields of newer servers are ignored.

A server may have been taken over, so every number and text has a bound and texts for people are printable. Bounds are
wider than what a server of ours sends.
"""

from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta, Struct

from attestation.evidence import Data, Format
from attestation.signed_policy import SignedPolicy
from standby.ids import LARGEST, BootIdField, Count
from standby.text import sentence

_MOST_ITEMS: Final = 1_000_000
_LONGEST: Final = 1 << 18
LAST_SECOND: Final = 253_402_300_800
"""Unix seconds of the end of the year 9999."""
LARGEST_VALUE: Final = 1e12
"""What a server stores, in the metric's own unit."""
Value = Annotated[float, Meta(ge=-1e15, le=1e15)]
Timestamp = Annotated[int, Meta(ge=0, lt=LAST_SECOND, description="Unix seconds")]


class Metric(StrEnum):
    POWER = "power"
    IMPEDANCE = "impedance"
    TENSION = "tension"

    @property
    def unit(self) -> str:
        return {Metric.POWER: "W", Metric.IMPEDANCE: "Ω", Metric.TENSION: "V"}[self]


class Login(Struct, frozen=True, kw_only=True):
    """A session of this client's own."""

    token: Annotated[str, Meta(max_length=1000, pattern=r"^[!-~]+$(?!\n)")]
    expires_in: Annotated[float, Meta(ge=0, le=1e10)]
    """Seconds."""
    boot_id: Annotated[str, sentence(64)]
    """The one life of the one process that serves this session."""
    generation: Annotated[int, Meta(ge=1, le=LARGEST)]
    """Which claim of the user's data this is."""
    freshness: Annotated[str, sentence(40)] | None = None
    """`verified`: the data are the newest that the platform or this client knows of. `unknown`: nobody can say."""
    freshness_text: Annotated[str, sentence(1000)] = ""
    """Why it is unknown."""

    def __repr__(self) -> str:
        return f"Login(boot_id={self.boot_id!r}, generation={self.generation}, token=<secret>)"


class LoginChallenge(Struct, frozen=True, kw_only=True):
    """What a server says that a LOGIN there has to prove (`attestation.login_proof`)."""

    boot_id: BootIdField
    nonce: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")] | None
    """None: nothing."""


class LoginProof(Struct, frozen=True, kw_only=True):
    nonce: str
    signature: bytes


class Shown(Struct, frozen=True, kw_only=True):
    """What a server shows for a challenge; nothing of it is believed. Bytes are base64 in JSON."""

    format: Format
    evidence: Data
    claims: Annotated[bytes, Meta(max_length=_LONGEST)]
    collateral: Annotated[bytes, Meta(max_length=_LONGEST)] | None = None
    login: LoginChallenge | None = None
    """None: the server asks for no proof at LOGIN."""
    policy: SignedPolicy | None = None
    """It counts by its signature, whatever the server is (`smartgrid_client.newer_policy`)."""


class Freshness(Struct, frozen=True, kw_only=True):
    """What a user's database was like when it was closed: any older copy has another tag."""

    generation: Count
    """Of the claim under which it was closed."""
    tag: Annotated[bytes, Meta(min_length=32, max_length=32)]


class LoggedOut(Struct, frozen=True, kw_only=True):
    freshness: Freshness | None = None
    """Present when this LOGOUT ended the session, and the database was closed with it."""


class Alarm(Struct, frozen=True):
    metric: Metric
    threshold: float


class StoredAlarm(Struct, frozen=True, kw_only=True):
    id: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    metric: Metric
    threshold: Value


class AlarmsPage(Struct, frozen=True, kw_only=True):
    alarms: Annotated[list[StoredAlarm], Meta(max_length=_MOST_ITEMS)]
    more: bool = False
    """There are more after the last one's id."""


class AlarmDeleted(Struct, frozen=True, kw_only=True):
    deleted: Count
    """0: it was gone already."""


class Rejection(Struct, frozen=True, kw_only=True):
    row: Count
    """Its place in the batch, from 0."""
    reason: Annotated[str, sentence(1000)]


class Stored(Struct, frozen=True, kw_only=True):
    """What became of the alarms of a WRITE or the rows of a LONG_WRITE; what is counted but `rejected` is on disk."""

    stored: Count
    unchanged: Count = 0
    """Rows that were there already, with the same values."""
    corrected: Count = 0
    conflicts: Count = 0
    """Rows with a value other than the stored one, which was kept apart."""
    rejected: Count = 0
    rejections: Annotated[list[Rejection], Meta(max_length=_MOST_ITEMS)] = []
    """The first of them."""

    @property
    def delivered(self) -> int:
        """Rows that the server has."""
        return self.stored + self.unchanged + self.corrected + self.conflicts

    @property
    def known(self) -> bool:
        """Whether all of it was there already."""
        return 0 < self.unchanged == self.delivered and not self.rejected


class Conflict(Struct, frozen=True, kw_only=True):
    """A value that was sent for a time for which another one is stored."""

    id: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    timestamp: Timestamp
    metric: Metric
    value: Value
    stored: Value


class ConflictsPage(Struct, frozen=True, kw_only=True):
    conflicts: Annotated[list[Conflict], Meta(max_length=_MOST_ITEMS)]
    more: bool = False
    """There are more after the last one's id."""


class BucketAverage(Struct, frozen=True):
    start: Timestamp
    """A multiple of the bucket's length, or an edge that was asked for."""
    count: Count
    average: Value | None


class Averages(Struct, frozen=True, kw_only=True):
    """QUERY_AVG over a period; `buckets` is empty unless a bucket length was asked for."""

    metric: Metric
    count: Count
    average: Value | None
    """None when there is no reading in the period."""
    buckets: Annotated[list[BucketAverage], Meta(max_length=_MOST_ITEMS)] = []
    first: Timestamp | None = None
    """Of all readings in the period, whatever they measure, the time of the first."""
    last: Timestamp | None = None
