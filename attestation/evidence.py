"""Evidence, and who gives it: one interface for every kind of platform.

The format says how to read the bytes, not whom to believe. A software platform and an SGX machine give the same format
and are told apart by the root that their signatures lead to, never by what a peer says about itself.

EPID quotes, the attestation of the dissertation's time, are not a format here: Intel ended their service in 2025.
"""

from typing import Annotated, Final, Protocol

from msgspec import Meta, Struct

REPORT_DATA_SIZE: Final = 64
"""Bytes of the process's own choice in every kind of evidence."""
MAX_SIZE: Final = 64 * 1024
"""Bytes; real quotes have less than 5 kB, and nobody parses megabytes for a stranger."""
DCAP_V3: Final = "sgx-dcap-v3"
"""The format whose bytes are an SGX DCAP quote of version 3; see `attestation.quote`."""


Format = Annotated[
    str,
    Meta(
        max_length=40,
        pattern=r"^[0-9a-z._-]{1,40}$(?!\n)",
        description="how to read the evidence, not whom to believe",
    ),
]
Data = Annotated[bytes, Meta(max_length=MAX_SIZE)]


class Evidence(Struct, frozen=True):
    """What a platform says about a process, signed: believed only after `attestation.verify`."""

    format: Format
    data: Data


class Attester(Protocol):
    """Where a process gets evidence about itself."""

    def evidence(self, report_data: bytes) -> Evidence:
        """Evidence about this process that carries `report_data` (64 bytes).

        Raises:
            EvidenceUnavailableError: the platform gives none; the text says what is missing.
            ValueError: `report_data` has another length.
        """
