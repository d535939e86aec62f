"""The made-up processor: its versions, and how its certificate states them.

The PCK certificate of an SGX machine carries Intel's extension 1.2.840.113741.1.13.1: the platform's id, model (FMSPC)
and TCB, that is sixteen versions of firmware components and that of the provisioning enclave (PCE). Source: Intel, "SGX
PCK Certificate and Certificate Revocation List Profile Specification".
"""

from typing import Final

from cryptography import x509
from cryptography.hazmat import asn1

from attestation.quote import Flags

FMSPC: Final = b"SIM\0\0\0"
"""Model of the platform, 6 bytes that spell SIM."""
PCE_ID: Final = bytes(2)
CPU_SVN: Final = bytes([1] * 4 + [0] * 12)
PCE_SVN: Final = 1
QE_SVN: Final = 1
QE_PRODUCT_ID: Final = 1
"""As Intel's quoting enclave."""
XFRM: Final = 0xE7
"""x87, SSE, AVX and AVX-512, as servers have."""
ENCLAVE_FLAGS: Final = Flags.INIT | Flags.MODE_64_BIT
QE_FLAGS: Final = ENCLAVE_FLAGS | Flags.PROVISION_KEY

_SGX: Final = "1.2.840.113741.1.13.1"
_STANDARD_TYPE: Final = b"\x0a\x01\x00"
"""SGX type "standard": ENUMERATED 0."""


@asn1.sequence
class _Field:
    name: x509.ObjectIdentifier
    value: int | bytes


@asn1.sequence
class _Tcb:
    name: x509.ObjectIdentifier
    value: list[_Field]


@asn1.sequence
class _Type:
    name: x509.ObjectIdentifier
    value: asn1.TLV


@asn1.sequence
class _Extension:
    platform_id: _Field
    tcb: _Tcb
    pce_id: _Field
    model: _Field
    sgx_type: _Type


def extension(platform_id: bytes) -> x509.UnrecognizedExtension:
    """Intel's SGX extension for a platform with this id (PPID, 16 bytes)."""
    value = _Extension(
        platform_id=_field("1", platform_id),
        tcb=_Tcb(name=_oid("2"), value=_versions()),
        pce_id=_field("3", PCE_ID),
        model=_field("4", FMSPC),
        sgx_type=_Type(name=_oid("5"), value=asn1.decode_der(asn1.TLV, _STANDARD_TYPE)),
    )
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(_SGX), asn1.encode_der(value))


def _versions() -> list[_Field]:
    components = [_field(f"2.{number}", svn) for number, svn in enumerate(CPU_SVN, start=1)]
    return [*components, _field("2.17", PCE_SVN), _field("2.18", CPU_SVN)]


def _field(name: str, value: int | bytes) -> _Field:
    return _Field(name=_oid(name), value=value)


def _oid(name: str) -> x509.ObjectIdentifier:
    return x509.ObjectIdentifier(f"{_SGX}.{name}")
