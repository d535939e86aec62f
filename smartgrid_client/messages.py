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
Value = Annotated[float, Meta(ge=-1e15, le=1e15)]


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


class Stored(Struct, frozen=True, kw_only=True):
    """What a WRITE or LONG_WRITE stored; it is on disk."""

    stored: Count
    duplicate: bool = False
    """The batch was there already, from an earlier try; nothing was stored again."""


class BucketAverage(Struct, frozen=True):
    start: Count
    """Unix seconds; a multiple of the bucket's length."""
    count: Count
    average: Value | None


class Averages(Struct, frozen=True, kw_only=True):
    """QUERY_AVG over a period; `buckets` is empty unless a bucket length was asked for."""

    metric: Metric
    count: Count
    average: Value | None
    """None when there is no reading in the period."""
    buckets: Annotated[list[BucketAverage], Meta(max_length=_MOST_ITEMS)] = []
