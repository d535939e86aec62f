"""The words of session language 0.3.x: names, values, formats, and what came in which version.

Taken from the published documentation of SCONE 7.0 (CAS session language 0.3, up to 0.3.12). Two things are inferred
from it, because it gives releases of SCONE rather than versions of the language: that what came with SCONE 7.0 needs
0.3.12, and which placeholder formats go with which kind of secret where only the format is listed.
"""

import re
from typing import Final

NEWEST: Final = 12
"""Of `0.3.x`, the last one whose documentation was read."""
VERSION: Final = re.compile(r"0\.3(?:\.(\d{1,4}))?")

SEGMENT: Final = r"[A-Za-z0-9_.~-]{1,128}"
SESSION_NAME: Final = rf"{SEGMENT}(/{SEGMENT})*"
PLATFORM: Final = r"INTEL_QE_ID:[0-9a-fA-F]{32}"
ADVISORY: Final = r"INTEL-SA-\d{5}"
CERTIFICATE: Final = r"\s*-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*"
PUBLIC_KEY: Final = r"\s*-----BEGIN PUBLIC KEY-----[A-Za-z0-9+/=\s]+-----END PUBLIC KEY-----\s*"
KEY_HASH: Final = r"[1-9A-HJ-NP-Za-km-z]{32,64}"
"""Base58; 32 to 64 digits, because a hash of 32 bytes has about 44 of them and the encoding is not published."""

MODES: Final = frozenset({"hardware", "none", "maa"})
TOLERATIONS: Final = frozenset(
    {
        "aepic-leak",
        "debug-mode",
        "hyperthreading",
        "insecure-configuration",
        "insecure-igpu",
        "local-attestation-trust-cas-tcb",
        "maa-managed-tcb",
        "outdated-tcb",
        "software-hardening-needed",
    }
)
WORTHLESS: Final = frozenset({"debug-mode", "outdated-tcb"})
"""Tolerations with which attestation proves nothing: a host can read such an enclave."""

UPDATE_POLICIES: Final = frozenset({"rollback_protected", "ephemeral", "no_rollback_protection"})
KEY_TYPES: Final = frozenset({"P-256", "P-384", "Ed25519", "RSA-2048", "RSA-3072"})

FILESYSTEM_POLICIES: Final = frozenset(
    {"rollback_protected_reinitializable", "no_rollback_protection"}
)

_BYTES: Final = frozenset({"", "bin", "hex", "base64", "base64url", "base32", "base32nopad"})
_KEY: Final = frozenset({"", "pem", "pkcs8:pem", "der", "pkcs8:der"})
_CERTIFICATE: Final = frozenset(
    {
        *("", "crt", "crt:pem", "crt:der", "chain", "pkcs12-with-private-key"),
        *("privatekey", *(f"privatekey:{form}" for form in _KEY - {""})),
    }
)
FORMATS: Final = {
    "ascii": _BYTES,
    "binary": _BYTES,
    "private-key": _KEY,
    "public-key": _KEY,
    "x509": _CERTIFICATE,
    "x509-ca": _CERTIFICATE,
    "jwt": frozenset({""}),
}
"""Placeholder formats by kind of secret; of kinds not listed here the formats are not checked."""
UNDESCRIBED_KINDS: Final = frozenset({"aad-token", "config-fragment", "pgp-key"})
KINDS: Final = UNDESCRIBED_KINDS | FORMATS.keys()
NEEDS_NEWEST_KINDS: Final = frozenset({"jwt"})

SELF_PLACEHOLDER: Final = "self::software_identity"
WITHOUT_EFFECT: Final = frozenset({"SCONE_HEAP", "SCONE_CAS_ADDR"})
"""Variables that a session cannot set: they are read before there is a session."""
