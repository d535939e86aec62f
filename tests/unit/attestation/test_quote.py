"""Quotes have the layout that Intel's verifiers expect, and nothing but exactly one quote is read as one."""

import struct

import dcap_qvl  # type: ignore[import-untyped]  # its stubs come without the marker py.typed
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation.errors import BadEvidenceError
from attestation.evidence import MAX_SIZE
from attestation.quote import (
    Flags,
    Header,
    Quote,
    QuoteSignature,
    Report,
    parse,
    signed_part,
    stated_length,
)
from tests.unit.attestation.simulated import PROCESS, REPORT_DATA, scene

_U16 = st.integers(0, 2**16 - 1)


def _bytes(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


_reports = st.builds(
    Report,
    cpu_svn=_bytes(16),
    flags=st.integers(0, 2**64 - 1).map(Flags),
    xfrm=st.integers(0, 2**64 - 1),
    mrenclave=_bytes(32),
    mrsigner=_bytes(32),
    product_id=_U16,
    svn=_U16,
    report_data=_bytes(64),
    misc_select=st.integers(0, 2**32 - 1),
)
_quotes = st.builds(
    Quote,
    header=st.builds(Header, qe_svn=_U16, pce_svn=_U16, qe_vendor=_bytes(16), user_data=_bytes(20)),
    report=_reports,
    signature=st.builds(
        QuoteSignature,
        signature=_bytes(64),
        attestation_key=_bytes(64),
        qe_report=_reports,
        qe_report_signature=_bytes(64),
        authentication_data=st.binary(max_size=100),
        pck_chain=st.binary(max_size=300),
    ),
)


@given(_quotes)
def test_what_was_built_is_read_back(quote: Quote) -> None:
    assert parse(quote.build()) == quote


@given(_quotes, st.data())
def test_a_quote_that_was_cut_or_has_something_appended_is_refused(
    quote: Quote, data: st.DataObject
) -> None:
    raw = quote.build()
    cut = data.draw(st.integers(0, len(raw) - 1))
    more = data.draw(st.binary(min_size=1, max_size=10))
    with pytest.raises(BadEvidenceError):
        parse(raw[:cut])
    with pytest.raises(BadEvidenceError, match="something was appended"):
        parse(raw + more)


@given(st.binary(max_size=2000))
def test_other_bytes_are_refused_and_nothing_else_is_raised(raw: bytes) -> None:
    with pytest.raises(BadEvidenceError):
        parse(raw)


@given(_quotes, st.data())
def test_a_damaged_quote_is_read_or_refused_and_nothing_else_is_raised(
    quote: Quote, data: st.DataObject
) -> None:
    raw = bytearray(quote.build())
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        read = parse(bytes(raw))
    except BadEvidenceError:
        return
    assert len(read.build()) == len(raw)


def test_another_implementation_reads_the_same_fields_at_the_same_places() -> None:
    raw = scene().evidence.data
    ours, theirs = parse(raw), dcap_qvl.parse_quote(raw)
    assert (theirs.header.version, theirs.header.attestation_key_type) == (3, 2)
    assert theirs.header.qe_vendor_id == ours.header.qe_vendor
    assert (theirs.header.qe_svn, theirs.header.pce_svn) == (
        ours.header.qe_svn,
        ours.header.pce_svn,
    )
    assert theirs.report.mr_enclave == ours.report.mrenclave == PROCESS.mrenclave
    assert theirs.report.mr_signer == ours.report.mrsigner == PROCESS.mrsigner
    assert theirs.report.cpu_svn == ours.report.cpu_svn
    assert theirs.report.report_data == ours.report.report_data == REPORT_DATA
    assert theirs.cert_chain_pem_bytes() == ours.signature.pck_chain


def test_the_parts_are_where_the_format_says() -> None:
    raw = scene().evidence.data
    quote = parse(raw)
    assert raw[:432] == signed_part(quote.header, quote.report)
    assert raw[48 + 64 :][:32] == PROCESS.mrenclave
    assert raw[48 + 128 :][:32] == PROCESS.mrsigner
    assert struct.unpack_from("<HH", raw, 48 + 256) == (PROCESS.product_id, PROCESS.svn)
    assert raw[48 + 320 :][:64] == REPORT_DATA
    assert raw[436:500] == quote.signature.signature
    assert raw[564:948] == quote.signature.qe_report.build()
    assert stated_length(raw) == len(raw)


@pytest.mark.parametrize(
    ("offset", "value", "said"),
    [
        (0, 4, "quote version 4"),
        (2, 3, "key type 3"),
        (4, 0x81, "TEE type 129"),
    ],
)
def test_other_kinds_of_quotes_are_refused(offset: int, value: int, said: str) -> None:
    raw = bytearray(scene().evidence.data)
    raw[offset] = value
    with pytest.raises(BadEvidenceError, match=said):
        parse(bytes(raw))


def test_a_chain_that_is_not_in_the_quote_is_refused() -> None:
    raw = bytearray(scene().evidence.data)
    type_of_certification_data = 1012 + 2 + 32
    assert raw[type_of_certification_data] == 5
    raw[type_of_certification_data] = 3
    with pytest.raises(BadEvidenceError, match="type 3"):
        parse(bytes(raw))


def test_bytes_hidden_behind_the_chain_are_refused() -> None:
    raw = bytearray(scene().evidence.data) + b"hidden"
    struct.pack_into("<I", raw, 432, len(raw) - 436)
    assert stated_length(bytes(raw)) == len(raw)
    with pytest.raises(BadEvidenceError, match="6 bytes follow"):
        parse(bytes(raw))


def test_megabytes_are_not_parsed() -> None:
    with pytest.raises(BadEvidenceError, match="no quote"):
        parse(bytes(MAX_SIZE + 1))


@pytest.mark.parametrize("field", ["mrenclave", "mrsigner", "cpu_svn", "report_data"])
def test_a_field_of_another_length_is_never_padded_or_cut(field: str) -> None:
    report = parse(scene().evidence.data).report
    fields = {each: getattr(report, each) for each in report.__struct_fields__}
    for wrong in (fields[field][:-1], fields[field] + b"x"):
        with pytest.raises(ValueError, match="bytes, not"):
            Report(**{**fields, field: wrong}).build()


def test_the_debug_bit_is_read() -> None:
    debugged = scene().platform.quote(
        type(PROCESS)(mrenclave=PROCESS.mrenclave, mrsigner=PROCESS.mrsigner, debug=True),
        REPORT_DATA,
    )
    assert parse(debugged).report.debug
    assert not parse(scene().evidence.data).report.debug
