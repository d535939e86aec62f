"""Evidence of a simulated platform about one process that its owner measured."""

from attestation.evidence import DCAP_V3, Evidence
from attestation.quote import EnclaveIdentity
from attestation.soft.platform import SoftPlatform


class SoftAttester:
    """Quotes about one process. Lives where the platform's keys are, not in the process that it speaks about."""

    def __init__(self, platform: SoftPlatform, process: EnclaveIdentity) -> None:
        self._platform = platform
        self._process = process

    def evidence(self, report_data: bytes) -> Evidence:
        return Evidence(DCAP_V3, self._platform.quote(self._process, report_data))
