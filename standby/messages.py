"""The messages between wrappers, Routing Manager, load balancer and operator (JSON, `/v1`).

Level-triggered: a full report says everything, so a lost message is repaired by the next one. Receivers ignore unknown
fields, so that parts of two versions can talk during an upgrade; they refuse wrong types and values out of range.

Every number, text and list has its bound here, at its type. A sender holds what it sends against these types, too, so
that a receiver has no reason to refuse it; an entry of a list that does not fit costs that entry and not the message.
Texts for people are printable (`standby.text`).
"""

from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta, Struct

from standby.ids import (
    BootIdField,
    Count,
    EpochField,
    GenerationField,
    SlotField,
    UidField,
    WrapperIdField,
)
from standby.states import State, StopReason
from standby.text import sentence

DEGRADED_LENGTH: Final = 300
"""Characters of the sentence that says what keeps a wrapper from its full size."""
MESSAGE_LENGTH: Final = 1000
"""Characters of an error's sentence."""
MOST_INSTANCES: Final = 100_000
"""Server processes of one wrapper."""
MOST_SHOWN: Final = 1_000_000
"""Server processes of a whole platform."""
MOST_WRAPPERS: Final = 10_000
OLDEST: Final = 315_360_000.0

Address = Annotated[
    str,
    Meta(max_length=45, pattern=r"^[0-9a-fA-F:.]{2,45}$(?!\n)", description="IP address"),
]
Port = Annotated[int, Meta(ge=1, le=65535, description="TCP port")]
Seconds = Annotated[float, Meta(ge=0, le=1e10, description="seconds")]
Age = Annotated[float, Meta(ge=0, le=OLDEST, description="seconds ago; at most ten years")]
Capacity = Annotated[
    int, Meta(ge=0, le=MOST_INSTANCES, description="most processes this wrapper runs at once")
]
Attestation = Annotated[str, sentence(100, "by what it was admitted; `off`: by nothing")]
_Name = Annotated[str, Meta(max_length=40, pattern=r"^[a-z0-9-]{1,40}$(?!\n)")]
Hardening = Annotated[
    dict[_Name, _Name],
    Meta(max_length=20, description="what the process says it gave up: outcome by layer"),
]
"""Names, and no enum as where a server says it: a layer that only newer wrappers know of is no reason to refuse one."""
Ticket = Annotated[
    str,
    Meta(
        max_length=64,
        pattern=r"^[!-~]{1,64}$(?!\n)",
        description="names one order of a start",
    ),
]
Degraded = Annotated[str, sentence(DEGRADED_LENGTH)]
ErrorCode = Annotated[str, Meta(max_length=64, pattern=r"^[a-z0-9_]{1,64}$(?!\n)")]


class Ages(Struct, frozen=True, kw_only=True, eq=False):
    """How old something was when its report was sent, by its wrapper's clock: two machines' clocks are not compared.

    Ages grow by themselves and are no news. So any two are equal, and entries that differ in nothing else are, too.
    """

    process: Age
    """Since it was launched."""
    state: Age
    """Since it entered its state."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ages)

    def __hash__(self) -> int:
        return 0


class InstanceReport(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One server process as its wrapper sees it."""

    slot: SlotField
    boot_id: BootIdField
    address: Address
    port: Port
    state: State
    """Never RESERVED: that is the Routing Manager's own knowledge."""
    uid: UidField | None = None
    generation: GenerationField | None = None
    """Present once the user's volume has been claimed for this process."""
    reason: StopReason | None = None
    ticket: Ticket | None = None
    """The order this process was started for (approach `on-demand`)."""
    attestation: Attestation | None = None
    """Absent while it has not been admitted."""
    hardening: Hardening = {}
    ages: Ages | None = None


class Report(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`POST /v1/wrappers/{id}/report`."""

    epoch: EpochField
    sequence: Count
    """Grows by one with each report of an epoch; what arrives twice or late changes nothing."""
    full: bool
    """True: these are all instances. False: these have changed since the report before."""
    instances: Annotated[list[InstanceReport], Meta(max_length=MOST_INSTANCES)]
    capacity: Capacity
    draining: bool = False
    leaving: bool = False
    """True: this is the wrapper's last report, and none of its servers is left."""
    degraded: Degraded | None = None
    """Why the wrapper cannot keep its pool full, in words for the operator."""
    control_url: Annotated[str, Meta(max_length=300, pattern=r"^[!-~]+$(?!\n)")] | None = None
    """Where the wrapper takes orders (approach `on-demand`)."""


class ReportOutcome(StrEnum):
    ACCEPTED = "accepted"
    RESYNC = "resync"
    """Something was missed: send a full report at once."""
    STALE = "stale"
    """A later epoch or sequence is known already: nothing was changed."""


class ReportReply(Struct, frozen=True, kw_only=True):
    outcome: ReportOutcome
    epoch: EpochField
    """The epoch the Routing Manager knows; a wrapper whose own is lower continues above it."""


class Route(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`GET /v1/route/{sni}`: the process to connect to."""

    address: Address
    port: Port
    state: State
    """ACTIVE: the user has a session there, and the answer may be kept until another one. RESERVED: ask again. READY:
    not kept for the user, so whoever logs in first has it; ask again."""
    wrapper_id: WrapperIdField
    slot: SlotField
    boot_id: BootIdField
    generation: GenerationField | None = None


class InstanceView(Struct, frozen=True, kw_only=True):
    """One server process as `GET /v1/state` and `standby status` show it."""

    wrapper_id: WrapperIdField
    slot: SlotField
    boot_id: BootIdField
    address: Address
    port: Port
    state: State
    user: UidField | None
    generation: GenerationField | None
    reason: StopReason | None
    age_seconds: Seconds
    """Since this process was launched."""
    state_seconds: Seconds
    """Since it entered this state."""
    attestation: Attestation | None = None
    """None: it has not been admitted, or its wrapper attests nothing."""
    hardening: Hardening = {}


class Presence(StrEnum):
    """Whether a wrapper is there."""

    LIVE = "live"
    LEFT = "left"
    """It said that it leaves, and has not come back."""
    LOST = "lost"
    """It fell silent without a word."""


class WrapperView(Struct, frozen=True, kw_only=True):
    wrapper_id: WrapperIdField
    epoch: EpochField
    capacity: Capacity
    draining: bool
    degraded: Degraded | None
    silent_seconds: Seconds
    """Since its last report."""
    presence: Presence = Presence.LIVE


class StateCounts(Struct, frozen=True, kw_only=True):
    STARTING: Count = 0
    READY: Count = 0
    RESERVED: Count = 0
    ACTIVE: Count = 0
    STOPPED: Count = 0


class PlatformState(Struct, frozen=True, kw_only=True):
    """`GET /v1/state`."""

    settled: bool
    """False right after a start, while the wrappers' first reports are awaited."""
    counts: StateCounts
    waiting: Count
    """Users in the waiting room."""
    wrappers: Annotated[list[WrapperView], Meta(max_length=MOST_WRAPPERS)]
    instances: Annotated[list[InstanceView], Meta(max_length=MOST_SHOWN)]


class WrapperState(Struct, frozen=True, kw_only=True):
    """`GET /v1/instances` of a wrapper: its own list, by its own clock."""

    wrapper_id: WrapperIdField
    epoch: EpochField
    pool_size: Count
    capacity: Capacity
    draining: bool
    degraded: Degraded | None
    counts: StateCounts
    instances: Annotated[list[InstanceView], Meta(max_length=MOST_INSTANCES)]


class PoolSize(Struct, frozen=True, kw_only=True):
    """`PUT /v1/pool` of a wrapper."""

    size: Annotated[
        int, Meta(ge=0, le=MOST_INSTANCES, description="server processes to keep running")
    ]


class StartOrder(Struct, frozen=True, kw_only=True):
    """`POST /v1/starts` of a wrapper: start one server; the same ticket again starts nothing more."""

    ticket: Ticket


class ErrorDetail(Struct, frozen=True, kw_only=True):
    code: ErrorCode
    """Stable; says to a program what happened."""
    message: Annotated[str, sentence(MESSAGE_LENGTH)]
    """For people: what happened, and what to do."""
    id: Annotated[str, Meta(max_length=40, pattern=r"^[0-9A-Za-z-]{0,40}$(?!\n)")]
    """The same in the log of the part that answers, which has a hundred refusals of each code in a minute."""


class ErrorBody(Struct, frozen=True, kw_only=True):
    error: ErrorDetail
