"""One server, as its wrapper knows it from its channel."""

from collections.abc import Callable
from dataclasses import dataclass, field

from app_wrapper.events import Said
from attestation.evidence import Attester
from attestation.issuing.messages import Opened
from standby.hardening import Layer, Outcome
from standby.ids import BootId, Uid
from standby.sampling import Sampler

Tell = Callable[[Said], None]


@dataclass(slots=True)
class Attended:
    """What is remembered between two of its requests."""

    boot_id: BootId
    measure: Callable[[], str]
    """The measurement of its launch; hashes files, so it is asked for once."""
    hardening: dict[Layer, Outcome] = field(default_factory=dict)
    measured_at: float | None = None
    """When it was measured last, which failed unless `attester` is there; by the registrar's clock."""
    failures: Sampler = field(default_factory=Sampler)
    """Which errors of ours at answering it are logged."""
    judged_at: float | None = None
    """When its last proof of what it is was looked at, by the registrar's clock."""
    opened: Opened | None = None
    """What it said last of its user's database, if it has not said since that it closed it."""
    attester: Attester | None = None
    """Speaks about what was measured; None: it was not needed yet."""
    public_key: bytes | None = None
    """That it has a certificate for, SubjectPublicKeyInfo in DER."""
    bound: Uid | None = None
    """Whose requests it reads, by its own word."""
    nonce: bytes | None = None
    """For this user's proof; None: there is none yet, or it is used up."""
    proofs: int = 0
    """Of LOGIN, that were looked at."""
