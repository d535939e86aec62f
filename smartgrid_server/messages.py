"""The JSON of the HTTP API (`/v1`), with its limits; clients in any language see the same in the OpenAPI file.

What a client sends is refused when it has an unknown field, a wrong type or a value out of range, so a typing error
is never stored as something else. Numbers are finite by construction: JSON has no NaN or Infinity, a literal such as
`1e999` does not fit, and every value lies within `VALUE_LIMIT`, so sums of readings stay finite too.
"""

from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta, Struct

from standby.ids import LARGEST, BootIdField, Count, GenerationField
from standby.text import sentence

KEY_SIZE: Final = 32
"""Bytes of a database key."""
LAST_SECOND: Final = 253_402_300_800
"""Unix seconds of the end of the year 9999; timestamps in milliseconds by mistake are beyond it."""
VALUE_LIMIT: Final = 1e12
"""Largest magnitude of a reading or threshold, in the metric's own unit."""
PAGE: Final = 10_000
"""Alarms or conflicts of one answer at most (about 1 MB)."""
MOST_REJECTIONS: Final = 100
"""Rejected rows that an answer names; it counts all."""
REASON_TEXT: Final = 200
SIGNATURE_SIZE: Final = 80
"""Bytes of an ECDSA signature on P-256 in DER: 72 at most."""
TAG_SIZE: Final = 32
"""Bytes of a tag (`smartgrid_server.freshness`)."""
MOST_ITEMS: Final = 1_000_000
"""Readings, alarms or buckets of any message; what a server takes at once is less, and a setting (`Limits`)."""
MOST_ID: Final = 2**63 - 1
"""SQLite's."""
FRESHNESS_TEXT: Final = 300


class Metric(StrEnum):
    """What a meter measures; also the names of the columns."""

    POWER = "power"
    IMPEDANCE = "impedance"
    TENSION = "tension"


Timestamp = Annotated[int, Meta(ge=0, lt=LAST_SECOND, description="Unix seconds")]
Value = Annotated[float, Meta(ge=-VALUE_LIMIT, le=VALUE_LIMIT)]
Row = tuple[Timestamp, Value | None, Value | None, Value | None]
"""Timestamp, power, impedance, tension: the readings of one time; null where there is none."""
MetricName = Annotated[
    str,
    Meta(max_length=64, extra_json_schema={"enum": [each.value for each in Metric]}),
]
"""Checked by the server, so that an unknown one has an error code of its own."""
BatchId = Annotated[
    str,
    Meta(
        min_length=1, max_length=128, description="not needed and not used; earlier clients send it"
    ),
]
KeyText = Annotated[
    str, Meta(pattern=r"^[0-9a-fA-F]{64}$(?!\n)", description="the database key, 64 hex digits")
]


class Freshness(StrEnum):
    """Whether the data is the newest."""

    VERIFIED = "verified"
    """Nobody who keeps its tag knows of newer data."""
    UNKNOWN = "unknown"
    """Nothing speaks against it, or older data was accepted."""


class DataTag(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the data was when a session ended. Clients keep the newest and show it at their next LOGIN."""

    generation: GenerationField
    """Of the claim under which that session was."""
    tag: Annotated[
        bytes,
        Meta(min_length=TAG_SIZE, max_length=TAG_SIZE, description="SHA-256, in Base64"),
    ]


NonceText = Annotated[
    str,
    Meta(
        pattern=r"^[0-9a-f]{64}$(?!\n)",
        description="of the wrapper, for one LOGIN at this server, 64 hex digits",
    ),
]


class LoginChallenge(Struct, frozen=True, kw_only=True):
    """What a LOGIN here has to prove (`attestation.login_proof`); `GET /v1/login-challenge`."""

    boot_id: BootIdField
    nonce: NonceText | None
    """Null: this server needs no proof (now), because the user's session is open already, or because its wrapper does
    not verify any."""


class LoginProof(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The user's proof that they log in at this server."""

    nonce: NonceText
    """The one that was signed."""
    signature: Annotated[
        bytes,
        Meta(
            min_length=1,
            max_length=SIGNATURE_SIZE,
            description="ECDSA with SHA-256 (DER, in Base64) by the key of the client's certificate over the lines "
            "`standby-login-v1`, user id, boot id, SHA-256 of the server's public key (DER, hex) and nonce, each ended "
            "by a line feed",
        ),
    ]


class LoginRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /v1/login`."""

    key: KeyText
    login_id: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=64,
                description="the sender's name for this LOGIN; a repeated one takes its earlier token's place",
            ),
        ]
        | None
    ) = None
    proof: LoginProof | None = None
    """Null: the server's challenge has no nonce."""
    freshness: DataTag | None = None
    """The newest that this client was given at a LOGOUT; null: it has none."""
    accept_older: Annotated[
        bool, Meta(description="log in although the data is older than it should be")
    ] = False

    def __repr__(self) -> str:
        return "LoginRequest(key=<secret>)"


class LoginReply(Struct, frozen=True, kw_only=True):
    token: Annotated[str, Meta(max_length=200)]
    """Goes into `Authorization: Bearer <token>`."""
    expires_in: Annotated[float, Meta(ge=0, le=1e10, description="seconds")]
    boot_id: BootIdField
    generation: GenerationField
    freshness: Freshness = Freshness.UNKNOWN
    freshness_text: Annotated[str, sentence(FRESHNESS_TEXT)] = ""
    """Why, for people."""

    def __repr__(self) -> str:
        return "LoginReply(token=<secret>)"


class LogoutReply(Struct, frozen=True, kw_only=True):
    """`POST /v1/logout`."""

    ended: bool
    """True: this was the session's last client, and the database is closed."""
    freshness: DataTag | None = None
    """What the data is now, to be kept. Null: others are still logged in, the database could not be closed properly, or
    this server serves one user alone (then nothing changes about what the client has)."""


class Alarm(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    metric: MetricName
    threshold: Value


class WriteRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /v1/write`: all of the alarms are stored, or none."""

    alarms: Annotated[list[Alarm], Meta(max_length=MOST_ITEMS)]


class WriteReply(Struct, frozen=True, kw_only=True):
    stored: Count


class LongWriteRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /v1/long-write`: a row that cannot be stored is rejected; the others are stored, all or none."""

    rows: Annotated[list[Row], Meta(max_length=MOST_ITEMS)]
    correct: Annotated[
        bool,
        Meta(
            description="take the place of values that are stored for these times; those are kept as conflicts"
        ),
    ] = False
    batch_id: BatchId | None = None


class Rejection(Struct, frozen=True, kw_only=True):
    """A row that was not stored."""

    row: Count
    """Its place in the request, from 0."""
    reason: Annotated[str, sentence(REASON_TEXT)]


class LongWriteReply(Struct, frozen=True, kw_only=True):
    """What became of the rows; each is counted once."""

    stored: Count
    """Rows of which something is new."""
    unchanged: Count
    """Rows that were stored before, with the same values."""
    corrected: Count
    """Rows with a value that has taken the place of another one (`correct`)."""
    conflicts: Count
    """Rows with a value other than the one that is stored for their time. That one stays; the other is kept apart
    (`GET /v1/conflicts`)."""
    rejected: Count
    """Rows that cannot be stored."""
    rejections: Annotated[list[Rejection], Meta(max_length=MOST_REJECTIONS)]
    """The first of them."""


class AveragesQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The query of `GET /v1/query-avg`: `start` <= timestamp < `end`; without them, all time."""

    metric: MetricName
    start: Annotated[int, Meta(ge=0, le=LAST_SECOND)] = 0
    end: Annotated[int, Meta(ge=0, le=LAST_SECOND)] = LAST_SECOND
    bucket: Annotated[int, Meta(ge=1, le=LAST_SECOND)] | None = None
    edges: (
        Annotated[
            str,
            Meta(
                max_length=6000,
                description="Unix seconds, rising, with commas: from each one to the next is a bucket",
            ),
        ]
        | None
    ) = None
    """Instead of `start`, `end` and `bucket`: for civil days, which are not all equally long."""


class Bucket(Struct, frozen=True, kw_only=True):
    """The readings from `start` to the end of the bucket that lie within the period; at least one."""

    start: Timestamp
    count: Annotated[int, Meta(ge=1, le=LARGEST)]
    average: Value


class Averages(Struct, frozen=True, kw_only=True):
    """`GET /v1/query-avg`."""

    metric: Metric
    count: Count
    average: Value | None
    """Null when there is no reading in the period."""
    buckets: Annotated[list[Bucket], Meta(max_length=MOST_ITEMS)]
    """In order of time, each start a multiple of `bucket` or one of `edges`, empty ones left out; `[]` when none were
    asked for."""
    first: Timestamp | None
    """Of the readings in the period, of any metric, the time of the first. Null: there are none."""
    last: Timestamp | None


class PageQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The query of `GET /v1/alarms` and `GET /v1/conflicts`: pages in order of id."""

    after: Annotated[int, Meta(ge=0, le=MOST_ID)] = 0
    limit: Annotated[int, Meta(ge=1, le=PAGE)] = PAGE


class StoredAlarm(Struct, frozen=True, kw_only=True):
    id: Annotated[int, Meta(ge=1, le=MOST_ID)]
    """For good: the id of a deleted alarm is not used again."""
    metric: Metric
    threshold: Value


class AlarmsReply(Struct, frozen=True, kw_only=True):
    """`GET /v1/alarms`."""

    alarms: Annotated[list[StoredAlarm], Meta(max_length=PAGE)]
    more: bool
    """True: there are more; ask again with `after` = the last id."""


class DeleteReply(Struct, frozen=True, kw_only=True):
    """`DELETE /v1/alarms/{id}`."""

    deleted: Annotated[int, Meta(ge=0, le=1)]
    """0: there was no such alarm, or no longer."""


class Conflict(Struct, frozen=True, kw_only=True):
    """A value that was sent for a time for which another one is stored."""

    id: Annotated[int, Meta(ge=1, le=MOST_ID)]
    timestamp: Timestamp
    metric: Metric
    value: Value
    stored: Value
    """The one that counts."""


class ConflictsReply(Struct, frozen=True, kw_only=True):
    """`GET /v1/conflicts`."""

    conflicts: Annotated[list[Conflict], Meta(max_length=PAGE)]
    more: bool
    """True: there are more; ask again with `after` = the last id."""
