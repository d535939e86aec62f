"""The layout of an SGX DCAP quote, version 3: what a quoting enclave signs about an enclave.

    offset  size  what
         0    48  header
        48   384  report of the enclave
       432     4  length of the rest
       436    64  signature over header and report, by the attestation key
       500    64  attestation key
       564   384  report of the quoting enclave; its report data = SHA-256(attestation key, authentication data)
       948    64  signature over that report, by the platform's PCK key
      1012     2  length of the authentication data, then these
         +     2  type of the certification data (5: PCK certificate chain)
         +     4  length of the chain, then the chain as PEM, leaf first

Integers are little-endian; keys are x and y, signatures r and s, of P-256, 32 bytes each, big-endian. Source: Intel,
"Intel SGX Data Center Attestation Primitives: ECDSA Quote Library API", appendix on the quote format; the report is
the first 384 bytes of REPORT in Intel's Software Developer's Manual, volume 3D.

`parse` refuses what is not exactly one quote: another version, a missing or an additional byte. It checks no signature;
`attestation.verify` does. A quote is malleable all the same (the PEM text and an ECDSA signature can be written in more
than one way), so its hash names nothing: never use it as the key of a cache or of a replay check. What a quote says is
in its report, and what makes it fresh is in the report data.

Not kept by `Report`: key-separation fields (CONFIGID, CONFIGSVN, ISVEXTPRODID, ISVFAMILYID) and reserved bytes; `build`
writes zeros for them. Versions 4 and 5 (TDX) are not read.
"""

import struct
from enum import IntFlag
from typing import Final

from msgspec import Struct

from attestation.errors import BadEvidenceError
from attestation.evidence import MAX_SIZE, REPORT_DATA_SIZE

VERSION: Final = 3
ECDSA_P256: Final = 2
"""The attestation key's type."""
INTEL_QE_VENDOR: Final = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
"""Intel's quoting enclave, by the header's field "QE Vendor ID"; verifiers accept no other."""
PCK_CHAIN: Final = 5
"""The only certification data that is read: the whole chain, in the quote."""
MEASUREMENT_SIZE: Final = 32
_PAIR_SIZE: Final = 64
_HEADER: Final = struct.Struct("<HHIHH16s20s")
_REPORT: Final = struct.Struct("<16sI28xQQ32s32x32s96xHH60x64s")
_LENGTH: Final = struct.Struct("<I")
_AUTHENTICATION: Final = struct.Struct("<H")
_CERTIFICATION: Final = struct.Struct("<HI")
_SIGNED: Final = _HEADER.size + _REPORT.size
_BEFORE_SIGNATURE: Final = _SIGNED + _LENGTH.size


class Flags(IntFlag):
    """Attributes of an enclave, the lower 64 bits; other bits are kept as they are."""

    INIT = 0x01
    DEBUG = 0x02
    MODE_64_BIT = 0x04
    PROVISION_KEY = 0x10


class EnclaveIdentity(Struct, frozen=True, kw_only=True):
    """What a quote says about who an enclave is; measurements are 32 bytes each."""

    mrenclave: bytes
    mrsigner: bytes
    product_id: int = 0
    svn: int = 0
    debug: bool = False


class Header(Struct, frozen=True, kw_only=True):
    qe_svn: int
    pce_svn: int
    qe_vendor: bytes = INTEL_QE_VENDOR
    user_data: bytes = bytes(20)

    def build(self) -> bytes:
        _sized("QE vendor id", self.qe_vendor, 16)
        _sized("user data", self.user_data, 20)
        versions = (self.qe_svn, self.pce_svn)
        return _HEADER.pack(VERSION, ECDSA_P256, 0, *versions, self.qe_vendor, self.user_data)


class Report(Struct, frozen=True, kw_only=True):
    """One enclave, as the processor reports it."""

    cpu_svn: bytes
    flags: Flags
    xfrm: int
    """Which processor states the enclave may use (the upper 64 bits of the attributes)."""
    mrenclave: bytes
    mrsigner: bytes
    product_id: int
    svn: int
    report_data: bytes
    misc_select: int = 0

    @property
    def debug(self) -> bool:
        return Flags.DEBUG in self.flags

    def build(self) -> bytes:
        """The 384 bytes.

        Raises:
            ValueError: a field has another length than the layout gives it.
        """
        _sized("CPU SVN", self.cpu_svn, 16)
        _sized("MRENCLAVE", self.mrenclave, MEASUREMENT_SIZE)
        _sized("MRSIGNER", self.mrsigner, MEASUREMENT_SIZE)
        _sized("report data", self.report_data, REPORT_DATA_SIZE)
        processor = (self.cpu_svn, self.misc_select, int(self.flags), self.xfrm)
        enclave = (self.mrenclave, self.mrsigner, self.product_id, self.svn)
        return _REPORT.pack(*processor, *enclave, self.report_data)


class QuoteSignature(Struct, frozen=True, kw_only=True):
    """What makes header and report believable: see the module's layout."""

    signature: bytes
    attestation_key: bytes
    qe_report: Report
    qe_report_signature: bytes
    authentication_data: bytes
    pck_chain: bytes

    def build(self) -> bytes:
        for each in (self.signature, self.attestation_key, self.qe_report_signature):
            _sized("a key or signature", each, _PAIR_SIZE)
        return b"".join(
            (
                self.signature,
                self.attestation_key,
                self.qe_report.build(),
                self.qe_report_signature,
                _AUTHENTICATION.pack(len(self.authentication_data)),
                self.authentication_data,
                _CERTIFICATION.pack(PCK_CHAIN, len(self.pck_chain)),
                self.pck_chain,
            )
        )


class Quote(Struct, frozen=True, kw_only=True):
    header: Header
    report: Report
    signature: QuoteSignature

    def build(self) -> bytes:
        signature = self.signature.build()
        return signed_part(self.header, self.report) + _LENGTH.pack(len(signature)) + signature


def signed_part(header: Header, report: Report) -> bytes:
    """The bytes that the attestation key signs."""
    return header.build() + report.build()


def stated_length(raw: bytes) -> int:
    """How many bytes the quote at the start of `raw` has, by its own word.

    Raises:
        BadEvidenceError: `raw` ends before that is said.
    """
    if len(raw) < _BEFORE_SIGNATURE:
        raise BadEvidenceError(
            f"a quote has more than {_BEFORE_SIGNATURE} bytes, this one {len(raw)}: ask for it again"
        )
    (signature,) = _LENGTH.unpack_from(raw, _SIGNED)
    return _BEFORE_SIGNATURE + int(signature)


def parse(raw: bytes) -> Quote:
    """The quote that is exactly `raw`.

    Raises:
        BadEvidenceError: it is not a quote of version 3 with its PCK chain, or not that alone.
    """
    if len(raw) > MAX_SIZE:
        raise BadEvidenceError(f"{len(raw)} bytes are no quote: at most {MAX_SIZE} are read")
    stated = stated_length(raw)
    if stated != len(raw):
        raise BadEvidenceError(
            f"the quote has {len(raw)} bytes and says {stated}: it was cut or something was appended"
        )
    return Quote(
        header=_parse_header(raw),
        report=_parse_report(raw[_HEADER.size : _SIGNED]),
        signature=_parse_signature(raw[_BEFORE_SIGNATURE:]),
    )


def _parse_header(raw: bytes) -> Header:
    version, key_type, tee, qe_svn, pce_svn, vendor, user = _HEADER.unpack_from(raw)
    if (version, key_type, tee) != (VERSION, ECDSA_P256, 0):
        raise BadEvidenceError(
            f"quote version {version}, key type {key_type}, TEE type {tee}: only version {VERSION} of SGX with an "
            "ECDSA P-256 key is read"
        )
    return Header(qe_svn=qe_svn, pce_svn=pce_svn, qe_vendor=vendor, user_data=user)


def _parse_report(raw: bytes) -> Report:
    cpu_svn, misc, flags, xfrm, mrenclave, mrsigner, product, svn, data = _REPORT.unpack(raw)
    return Report(
        cpu_svn=cpu_svn,
        misc_select=misc,
        flags=Flags(flags),
        xfrm=xfrm,
        mrenclave=mrenclave,
        mrsigner=mrsigner,
        product_id=product,
        svn=svn,
        report_data=data,
    )


def _parse_signature(raw: bytes) -> QuoteSignature:
    reader = _Reader(raw)
    signature, key = reader.take(_PAIR_SIZE), reader.take(_PAIR_SIZE)
    qe_report, qe_signature = reader.take(_REPORT.size), reader.take(_PAIR_SIZE)
    (size,) = _AUTHENTICATION.unpack(reader.take(_AUTHENTICATION.size))
    authentication = reader.take(size)
    kind, size = _CERTIFICATION.unpack(reader.take(_CERTIFICATION.size))
    if kind != PCK_CHAIN:
        raise BadEvidenceError(
            f"certification data of type {kind}: make quotes that carry the PCK certificate chain (type {PCK_CHAIN})"
        )
    chain = reader.take(size)
    if reader.left:
        raise BadEvidenceError(f"{reader.left} bytes follow the quote's certificate chain")
    return QuoteSignature(
        signature=signature,
        attestation_key=key,
        qe_report=_parse_report(qe_report),
        qe_report_signature=qe_signature,
        authentication_data=authentication,
        pck_chain=chain,
    )


class _Reader:
    """Takes bytes from the front and says so when there are not enough."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._raw) - self._at

    def take(self, size: int) -> bytes:
        if size > self.left:
            raise BadEvidenceError(f"the quote's signature ends {size - self.left} bytes too early")
        taken = self._raw[self._at : self._at + size]
        self._at += size
        return taken


def _sized(what: str, value: bytes, size: int) -> None:
    if len(value) != size:
        raise ValueError(f"{what} has {size} bytes, not {len(value)}")
