"""What verified evidence says about a process: facts, not a judgement.

`attestation.verify` makes these from evidence whose signatures lead to a pinned root; a policy decides whether they
are good enough. Nothing here was said by the process itself except `report_data`.
"""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

Number = Annotated[int, Meta(ge=0, le=0xFFFF)]
"""Product ids and security versions have 16 bits."""


class TcbStatus(StrEnum):
    """How the platform's firmware, microcode and quoting enclave stand against what the root's owner asks for.

    The names are Intel's (TCB info, "tcbStatus"). Verification never lets `REVOKED` through; it is here because
    policies and collateral name it.
    """

    UP_TO_DATE = "UpToDate"
    SW_HARDENING_NEEDED = "SWHardeningNeeded"
    CONFIGURATION_NEEDED = "ConfigurationNeeded"
    CONFIGURATION_AND_SW_HARDENING_NEEDED = "ConfigurationAndSWHardeningNeeded"
    OUT_OF_DATE = "OutOfDate"
    OUT_OF_DATE_CONFIGURATION_NEEDED = "OutOfDateConfigurationNeeded"
    REVOKED = "Revoked"


class Root(StrEnum):
    """Whose key the signatures lead to in the end."""

    INTEL = "intel"
    SIMULATED = "simulated"
    """A software platform: proves nothing to anybody who does not trust the host that it runs on."""


class ClaimsSummary(Struct, frozen=True, kw_only=True):
    """The claims without what the process itself put into the evidence."""

    root: Root
    mrenclave: str
    """Measurement of the code that was started: 64 hex digits in lower case."""
    mrsigner: str
    """Who signed that code: SHA-256 of the signer's public key, 64 hex digits in lower case."""
    product_id: int
    """The signer's number of the product (ISVPRODID), 0 to 65535."""
    svn: int
    """The signer's security version of the product (ISVSVN), 0 to 65535; grows with each security fix."""
    debug: bool
    """Whether the enclave's memory is open to the host."""
    tcb_status: TcbStatus
    """The worse of the platform's and its quoting enclave's."""
    advisories: tuple[str, ...]
    """Security advisories that concern the platform, such as `INTEL-SA-00615`."""
    made_at: float | None
    """When the verifier gave out the nonce that the evidence carries, in Unix seconds of the verifier's clock, so the
    evidence cannot be older. None when it carries no nonce of the verifier."""


class Claims(ClaimsSummary, frozen=True, kw_only=True):
    """What verified evidence says."""

    report_data: bytes
    """The 64 bytes that the process itself put into the evidence; see `attestation.binding`."""
