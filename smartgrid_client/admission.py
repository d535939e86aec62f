"""What became of a server's attestation, as the summary and `--json` show it.

Measurements are no secrets and are shown in full: who looks into a refusal compares them with those of a build.
"""

from typing import Literal

from msgspec import Struct

from attestation.claims import Root, TcbStatus


class PolicyName(Struct, frozen=True, kw_only=True):
    """Which policy it was judged by."""

    version: int
    digest: str
    """64 hex digits (`attestation.policy.digest`)."""


class Admitted(Struct, frozen=True, kw_only=True):
    """The policy admits the server, and the evidence was made for this connection's key and challenge."""

    admitted: Literal[True] = True
    variant: str | None
    """The policy's variant that holds."""
    measurement: str
    """MRENCLAVE, 64 hex digits."""
    root: Root
    tcb_status: TcbStatus
    policy: PolicyName


class Difference(Struct, frozen=True, kw_only=True):
    """One thing that is not as the policy asks."""

    what: str
    """A stable name (`attestation.policy.Refusal`)."""
    expected: str
    found: str
    variant: str | None
    """None: it concerns all variants."""

    @property
    def text(self) -> str:
        where = f" (variant {self.variant!r})" if self.variant is not None else ""
        return f"{self.what}{where}: expected {self.expected}, found {self.found}"


class NotAdmitted(Struct, frozen=True, kw_only=True):
    """The server is not shown to be what the policy admits."""

    admitted: Literal[False] = False
    code: str
    """Stable: a code of `attestation.errors`."""
    text: str
    reasons: tuple[Difference, ...] = ()
    """With the code `not_admitted`: all of them."""
    policy: PolicyName
