"""A simulated platform, the collateral for it, and one process on it, for these tests."""

import datetime as dt
from dataclasses import dataclass, replace
from typing import Final

from attestation.claims import Claims
from attestation.collateral import Collateral
from attestation.evidence import DCAP_V3, Evidence
from attestation.quote import EnclaveIdentity
from attestation.soft.collateral import Standing, issue
from attestation.soft.platform import SoftPlatform
from attestation.verify import PinnedRoot, verify

NOW: Final = dt.datetime(2030, 6, 1, 12, tzinfo=dt.UTC)
PROCESS: Final = EnclaveIdentity(mrenclave=b"\xa1" * 32, mrsigner=b"\xb2" * 32, product_id=7, svn=3)
REPORT_DATA: Final = bytes(range(64))


@dataclass(frozen=True)
class Scene:
    """Evidence, and what it is verified by; each part can be exchanged."""

    platform: SoftPlatform
    collateral: Collateral
    root: PinnedRoot
    evidence: Evidence
    now: float = NOW.timestamp()

    def claims(self) -> Claims:
        return verify(self.evidence, self.collateral, self.root, self.now)

    def with_quote(self, raw: bytes) -> "Scene":
        return replace(self, evidence=Evidence(DCAP_V3, raw))

    def with_process(self, process: EnclaveIdentity) -> "Scene":
        return self.with_quote(self.platform.quote(process, REPORT_DATA))

    def with_standing(self, standing: Standing) -> "Scene":
        return replace(self, collateral=issue(self.platform, NOW, standing))

    def at(self, moment: dt.datetime) -> "Scene":
        return replace(self, now=moment.timestamp())


def scene() -> Scene:
    platform = SoftPlatform.create(NOW)
    return Scene(
        platform=platform,
        collateral=issue(platform, NOW),
        root=PinnedRoot.simulated(platform.root_pem),
        evidence=Evidence(DCAP_V3, platform.quote(PROCESS, REPORT_DATA)),
    )
