"""Evidence from inside Gramine: three pseudo-files, no library.

`attestation_type` says whether there is remote attestation; 64 bytes are written to `user_report_data`; reading `quote`
then makes Gramine ask the machine's quoting enclave (Gramine's documentation, "Attestation and secret provisioning").
Needs `sgx.remote_attestation = "dcap"` in the manifest.

Invariants: what is given out carries the report data that was asked for, also when several threads ask at once, because
the files are one per process. Bytes after the quote's own length are cut: the machine's quoting service may say a
larger size than it fills, and verifiers refuse what is appended.

Tried with a directory of ordinary files; not tried under Gramine or on an SGX machine.
"""

import threading
from pathlib import Path
from typing import Final

from attestation import quote
from attestation.errors import BadEvidenceError, EvidenceUnavailableError
from attestation.evidence import DCAP_V3, REPORT_DATA_SIZE, Evidence

DIRECTORY: Final = Path("/dev/attestation")
NAME: Final = "gramine-dcap"
_DCAP: Final = "dcap"


class GramineAttester:
    """Asks Gramine for quotes about the process that it runs in."""

    def __init__(self, directory: Path = DIRECTORY) -> None:
        self._directory = directory
        self._one_at_a_time = threading.Lock()

    def evidence(self, report_data: bytes) -> Evidence:
        """A quote with `report_data`; takes as long as the machine's quoting service does.

        Raises:
            EvidenceUnavailableError: not under Gramine, no DCAP there, or its answer is not a quote of this data.
            ValueError: `report_data` does not have 64 bytes.
        """
        if len(report_data) != REPORT_DATA_SIZE:
            raise ValueError(f"report data has {REPORT_DATA_SIZE} bytes, not {len(report_data)}")
        with self._one_at_a_time:
            raw = self._ask(report_data)
        try:
            raw = raw[: quote.stated_length(raw)]
            made = quote.parse(raw)
        except BadEvidenceError as error:
            raise EvidenceUnavailableError(
                f"{self._directory}/quote holds no quote: {error}"
            ) from error
        if made.report.report_data != report_data:
            raise EvidenceUnavailableError(
                f"{self._directory}/quote is about other report data: does another program in this enclave use it?"
            )
        return Evidence(DCAP_V3, raw)

    def _ask(self, report_data: bytes) -> bytes:
        try:
            kind = (self._directory / "attestation_type").read_text("ascii").strip("\0\n ")
            if kind != _DCAP:
                raise EvidenceUnavailableError(
                    f'Gramine attests by {kind!r}: set sgx.remote_attestation = "dcap" in its manifest'
                )
            (self._directory / "user_report_data").write_bytes(report_data)
            return (self._directory / "quote").read_bytes()
        except (OSError, UnicodeDecodeError) as error:
            raise EvidenceUnavailableError(
                f"{self._directory} gives no quote ({error}): run this program under gramine-sgx, with the machine's "
                "quoting service (aesmd) running"
            ) from error
