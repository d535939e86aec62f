"""The messages between wrappers, Routing Manager, load balancer and operator (JSON, `/v1`).

Level-triggered: a full report says everything, so a lost message is repaired by the next one. Receivers ignore unknown
fields, so that parts of two versions can talk during an upgrade; they refuse wrong types and values out of range.
"""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from standby.ids import (
    BootIdField,
    EpochField,
    GenerationField,
    SlotField,
    UidField,
    WrapperIdField,
)
from standby.states import State, StopReason

Address = Annotated[str, Meta(min_length=2, max_length=45, description="IP address")]
Port = Annotated[int, Meta(ge=1, le=65535, description="TCP port")]
Seconds = Annotated[float, Meta(ge=0, description="seconds")]
Age = Annotated[float, Meta(ge=0, le=315_360_000, description="seconds ago; at most ten years")]
Count = Annotated[int, Meta(ge=0)]
Attestation = Annotated[
    str, Meta(max_length=100, description="by what it was admitted, in words; `off`: by nothing")
]
Hardening = Annotated[
    dict[Annotated[str, Meta(max_length=40)], Annotated[str, Meta(max_length=40)]],
    Meta(max_length=20, description="what the process says it gave up: outcome by layer"),
]
Ticket = Annotated[str, Meta(min_length=1, max_length=64, description="names one order of a start")]


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
    instances: Annotated[list[InstanceReport], Meta(max_length=100_000)]
    capacity: Annotated[int, Meta(ge=0, description="most processes this wrapper runs at once")]
    draining: bool = False
    leaving: bool = False
    """True: this is the wrapper's last report, and none of its servers is left."""
    degraded: Annotated[str, Meta(max_length=300)] | None = None
    """Why the wrapper cannot keep its pool full, in words for the operator."""
    control_url: Annotated[str, Meta(max_length=300)] | None = None
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
    capacity: Count
    draining: bool
    degraded: str | None
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
    wrappers: list[WrapperView]
    instances: list[InstanceView]


class WrapperState(Struct, frozen=True, kw_only=True):
    """`GET /v1/instances` of a wrapper: its own list, by its own clock."""

    wrapper_id: WrapperIdField
    epoch: EpochField
    pool_size: Count
    capacity: Count
    draining: bool
    degraded: str | None
    counts: StateCounts
    instances: list[InstanceView]


class PoolSize(Struct, frozen=True, kw_only=True):
    """`PUT /v1/pool` of a wrapper."""

    size: Annotated[int, Meta(ge=0, le=100_000, description="server processes to keep running")]


class StartOrder(Struct, frozen=True, kw_only=True):
    """`POST /v1/starts` of a wrapper: start one server; the same ticket again starts nothing more."""

    ticket: Ticket


class ErrorDetail(Struct, frozen=True, kw_only=True):
    code: str
    message: str
    id: str


class ErrorBody(Struct, frozen=True, kw_only=True):
    error: ErrorDetail
