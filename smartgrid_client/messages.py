"""What the server answers, as small records. Field names are the API's; unknown fields of newer servers are ignored."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

Count = Annotated[int, Meta(ge=0)]


class Metric(StrEnum):
    POWER = "power"
    IMPEDANCE = "impedance"
    TENSION = "tension"

    @property
    def unit(self) -> str:
        return {Metric.POWER: "W", Metric.IMPEDANCE: "Ω", Metric.TENSION: "V"}[self]


class Login(Struct, frozen=True, kw_only=True):
    """A session of this client's own."""

    token: str
    expires_in: float
    """Seconds."""
    boot_id: str
    """The one life of the one process that serves this session."""
    generation: int
    """Which claim of the user's data this is."""
    freshness: str | None = None
    """`verified`: the data are the newest that the platform or this client knows of. `unknown`: nobody can say."""
    freshness_text: str = ""
    """Why it is unknown."""

    def __repr__(self) -> str:
        return f"Login(boot_id={self.boot_id!r}, generation={self.generation}, token=<secret>)"


class Shown(Struct, frozen=True, kw_only=True):
    """What a server shows for a challenge; nothing of it is believed. Bytes are base64 in JSON."""

    format: str
    evidence: bytes
    claims: bytes
    collateral: bytes | None = None


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
    id: int
    metric: Metric
    threshold: float


class AlarmsPage(Struct, frozen=True, kw_only=True):
    alarms: list[StoredAlarm]
    more: bool = False
    """There are more after the last one's id."""


class Stored(Struct, frozen=True, kw_only=True):
    """What a WRITE or LONG_WRITE stored; it is on disk."""

    stored: Count
    duplicate: bool = False
    """The batch was there already, from an earlier try; nothing was stored again."""


class BucketAverage(Struct, frozen=True):
    start: int
    """Unix seconds; a multiple of the bucket's length."""
    count: Count
    average: float | None


class Averages(Struct, frozen=True, kw_only=True):
    """QUERY_AVG over a period; `buckets` is empty unless a bucket length was asked for."""

    metric: Metric
    count: Count
    average: float | None
    """None when there is no reading in the period."""
    buckets: list[BucketAverage] = []
