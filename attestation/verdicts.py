"""What was decided about one server process, as data: for the audit log, `standby status` and whoever asks why.

The shape follows the EAT Attestation Result (EAR, draft-ietf-rats-ear): a status, the policy that led to it, what the
evidence said, and for a refusal every reason. It is a record, not a token: nobody admits anybody because of a verdict
that was shown to him; what follows from one is a certificate.

A verdict names its process by boot id, which is never used twice, and its policy by digest, so it cannot be taken for
one on another process or by another policy. It holds no secret and no nonce.
"""

from enum import StrEnum
from typing import Final

from msgspec import Struct

from attestation.claims import Claims, ClaimsSummary, Root
from attestation.policy import Decision, Policy, Reason, Refusal, digest, short
from standby import logs
from standby.errors import PlatformError
from standby.ids import BootId

SIMULATED: Final = "SIMULATED, proves nothing against who runs the machine"


class Status(StrEnum):
    AFFIRMING = "affirming"
    CONTRAINDICATED = "contraindicated"
    """EAR's word for: evidence or policy speak against it."""


class Verdict(Struct, frozen=True, kw_only=True):
    status: Status
    instance: BootId
    at: float
    """Unix seconds by the verifier's clock."""
    policy_version: int
    policy_digest: str
    policy_root: Root
    testing: bool
    """The policy says that it is for testing."""
    variant: str | None
    """The variant of the policy that admitted it."""
    claims: ClaimsSummary | None
    """None: there was no evidence that verifies."""
    reasons: tuple[Reason, ...]

    @property
    def text(self) -> str:
        """One line for people and logs."""
        policy = f"policy version {self.policy_version} ({short(self.policy_digest)})"
        marks = ["for testing"] if self.testing else []
        if Root.SIMULATED in {self.policy_root, self.claims.root if self.claims else None}:
            marks.append(SIMULATED)
        outcome = f"admitted as {self.variant!r}"
        if self.status is Status.CONTRAINDICATED:
            outcome = "refused: " + "; ".join(reason.text for reason in self.reasons)
        said = f" ({'; '.join(marks)})" if marks else ""
        return f"{self.status}{said}, {policy}, {outcome}"


def of_claims(
    policy: Policy, claims: Claims, decision: Decision, instance: BootId, at: float
) -> Verdict:
    """The verdict on a process whose evidence verified."""
    status = Status.AFFIRMING if decision.admitted else Status.CONTRAINDICATED
    summary = ClaimsSummary(
        **{name: getattr(claims, name) for name in ClaimsSummary.__struct_fields__}
    )
    return _verdict(policy, status, instance, at, decision, summary)


def of_error(policy: Policy, error: PlatformError, instance: BootId, at: float) -> Verdict:
    """The verdict on a process that showed no evidence, or some that did not verify."""
    found = f"{error.code}: {logs.scrub('error', str(error))}"
    reason = Reason(Refusal.EVIDENCE, "evidence that verifies", found)
    decision = Decision(admitted=False, variant=None, reasons=(reason,))
    return _verdict(policy, Status.CONTRAINDICATED, instance, at, decision, None)


def _verdict(
    policy: Policy,
    status: Status,
    instance: BootId,
    at: float,
    decision: Decision,
    claims: ClaimsSummary | None,
) -> Verdict:
    return Verdict(
        status=status,
        instance=instance,
        at=at,
        policy_version=policy.version,
        policy_digest=digest(policy),
        policy_root=policy.root,
        testing=policy.testing,
        variant=decision.variant,
        claims=claims,
        reasons=decision.reasons,
    )
