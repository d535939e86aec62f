"""True evidence becomes claims; everything else is refused, with a reason that says what to do."""

import datetime as dt
import json
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation.claims import Claims, Root, TcbStatus
from attestation.collateral import Collateral
from attestation.errors import (
    AttestationError,
    BadEvidenceError,
    CollateralError,
    CollateralExpiredError,
    CollateralNotYetValidError,
    CollateralUnavailableError,
    DebugEnclaveError,
    RevokedError,
    TcbUnknownError,
    UnknownFormatError,
    UntrustedRootError,
)
from attestation.evidence import DCAP_V3, Evidence
from attestation.quote import EnclaveIdentity
from attestation.soft.collateral import LIFETIME, Standing, issue
from attestation.soft.signer import sign_raw
from attestation.verify import INTEL, PinnedRoot, verify
from standby import pki
from tests.unit.attestation.simulated import NOW, PROCESS, REPORT_DATA, Scene, scene

_SCENE = scene()
"""Read only, and made once because each has five keys."""
_HEADER_AND_REPORT = 432
_READ = [
    "root_ca_crl",
    "pck_crl",
    "tcb_info_issuer_chain",
    "tcb_info",
    "tcb_info_signature",
    "qe_identity_issuer_chain",
    "qe_identity",
    "qe_identity_signature",
]
"""Not `pck_crl_issuer_chain`: that list's issuer is in the evidence's own chain."""


def test_evidence_says_what_the_platform_measured() -> None:
    made_at = NOW.timestamp() - 2
    claims = verify(
        _SCENE.evidence, _SCENE.collateral, _SCENE.root, NOW.timestamp(), made_at=made_at
    )
    assert claims == Claims(
        root=Root.SIMULATED,
        mrenclave="a1" * 32,
        mrsigner="b2" * 32,
        product_id=7,
        svn=3,
        debug=False,
        tcb_status=TcbStatus.UP_TO_DATE,
        advisories=(),
        report_data=REPORT_DATA,
        made_at=made_at,
    )


def test_without_a_nonce_of_the_verifier_nobody_knows_the_evidences_age() -> None:
    assert _SCENE.claims().made_at is None


@pytest.mark.parametrize("status", [each for each in TcbStatus if each is not TcbStatus.REVOKED])
def test_the_platforms_status_and_advisories_are_reported_not_judged(status: TcbStatus) -> None:
    standing = Standing(tcb_status=status, advisories=("SIMULATED-SA-1", "SIMULATED-SA-2"))
    claims = _SCENE.with_standing(standing).claims()
    assert claims.tcb_status is status
    assert claims.advisories == ("SIMULATED-SA-1", "SIMULATED-SA-2")


def test_the_quoting_enclaves_status_counts_too() -> None:
    standing = Standing(quoting_enclave=TcbStatus.OUT_OF_DATE)
    assert _SCENE.with_standing(standing).claims().tcb_status is TcbStatus.OUT_OF_DATE


def test_whoever_pins_intels_root_refuses_a_simulated_platform() -> None:
    with pytest.raises(UntrustedRootError, match=r"pinned root \(intel\)"):
        replace(_SCENE, root=INTEL).claims()
    assert INTEL.name is Root.INTEL


def test_whoever_pins_one_platforms_root_refuses_anothers_evidence() -> None:
    other = scene()
    for mixed in (
        replace(_SCENE, root=other.root),
        replace(_SCENE, evidence=other.evidence),
        replace(_SCENE, collateral=other.collateral),
        replace(_SCENE, collateral=other.collateral, root=other.root),
        replace(_SCENE, collateral=other.collateral, evidence=other.evidence),
    ):
        with pytest.raises(UntrustedRootError, match="does not lead to the pinned root"):
            mixed.claims()


def test_a_root_that_does_not_call_itself_simulated_is_not_pinned_as_such() -> None:
    authority = pki.Authority.create("Some SGX Root CA", dt.timedelta(days=1))
    with pytest.raises(ValueError, match="begins with SIMULATED"):
        PinnedRoot.simulated(pki.certificate_pem(authority.certificate))


def test_a_debug_enclave_is_refused() -> None:
    debug = EnclaveIdentity(mrenclave=PROCESS.mrenclave, mrsigner=PROCESS.mrsigner, debug=True)
    with pytest.raises(DebugEnclaveError, match="the host can read"):
        _SCENE.with_process(debug).claims()


@pytest.mark.parametrize(
    "standing",
    [
        Standing(pck_revoked=True),
        Standing(tcb_status=TcbStatus.REVOKED),
        Standing(quoting_enclave=TcbStatus.REVOKED),
    ],
)
def test_a_revoked_platform_is_refused(standing: Standing) -> None:
    with pytest.raises(RevokedError, match="use another machine"):
        _SCENE.with_standing(standing).claims()


def test_collateral_that_has_run_out_is_refused() -> None:
    last = dt.datetime.fromtimestamp(_SCENE.collateral.runs_out, dt.UTC)
    assert last == NOW + LIFETIME
    assert _SCENE.at(last - dt.timedelta(seconds=1)).claims().report_data == REPORT_DATA
    with pytest.raises(CollateralExpiredError, match="renew it"):
        _SCENE.at(last + dt.timedelta(seconds=1)).claims()


@pytest.mark.parametrize("document", ["tcb_info", "qe_identity"])
def test_each_document_of_the_collateral_runs_out_by_itself(document: str) -> None:
    early = issue(_SCENE.platform, NOW, lifetime=dt.timedelta(days=1))
    parts = {each: getattr(early, each) for each in (document, f"{document}_signature")}
    mixed = replace(_SCENE, collateral=msgspec.structs.replace(_SCENE.collateral, **parts))
    assert mixed.collateral.runs_out == (NOW + dt.timedelta(days=1)).timestamp()
    assert mixed.claims().report_data == REPORT_DATA
    with pytest.raises(CollateralExpiredError):
        mixed.at(NOW + dt.timedelta(days=2)).claims()


@pytest.mark.parametrize("part", ["root_ca_crl", "pck_crl"])
def test_each_revocation_list_runs_out_by_itself(part: str) -> None:
    early = issue(_SCENE.platform, NOW, lifetime=dt.timedelta(days=1))
    parts = {part: getattr(early, part)}
    mixed = replace(_SCENE, collateral=msgspec.structs.replace(_SCENE.collateral, **parts))
    assert mixed.collateral.runs_out == (NOW + dt.timedelta(days=1)).timestamp()
    with pytest.raises(CollateralExpiredError):
        mixed.at(NOW + dt.timedelta(days=2)).claims()


def test_collateral_from_the_future_is_refused() -> None:
    assert _SCENE.at(NOW - pki.CLOCK_SKEW).claims().report_data == REPORT_DATA
    with pytest.raises(CollateralNotYetValidError, match="clock"):
        _SCENE.at(NOW - pki.CLOCK_SKEW - dt.timedelta(seconds=1)).claims()


def test_the_same_evidence_passes_or_not_by_the_verifiers_clock_alone() -> None:
    assert _SCENE.claims().report_data == REPORT_DATA
    for days in (-10, 40, 4000):
        with pytest.raises(CollateralError):
            _SCENE.at(NOW + dt.timedelta(days=days)).claims()


def test_a_platform_older_than_all_that_the_collateral_knows_is_refused() -> None:
    with pytest.raises(TcbUnknownError, match="update the platform"):
        _resigned(lambda info: info["tcbLevels"][0]["tcb"].update(pcesvn=9)).claims()


def test_collateral_for_another_model_is_refused() -> None:
    with pytest.raises(CollateralError, match="another model"):
        _resigned(lambda info: info.update(fmspc="00606A000000")).claims()


@pytest.mark.parametrize("document", ["tcb_info", "qe_identity"])
def test_collateral_that_somebody_changed_is_refused(document: str) -> None:
    text = getattr(_SCENE.collateral, document).replace('"UpToDate"', '"OutOfDate"')
    damaged = msgspec.structs.replace(_SCENE.collateral, **{document: text})
    with pytest.raises(CollateralError, match="damaged") as refused:
        replace(_SCENE, collateral=damaged).claims()
    assert refused.value.retry


@pytest.mark.parametrize("part", _READ)
def test_collateral_with_a_part_of_nonsense_is_refused(part: str) -> None:
    damaged = msgspec.structs.replace(_SCENE.collateral, **{part: "nonsense"})
    with pytest.raises(AttestationError):
        replace(_SCENE, collateral=damaged).claims()


@given(st.integers(0, _HEADER_AND_REPORT - 1), st.integers(1, 255))
def test_one_changed_byte_of_header_or_report_is_refused(at: int, change: int) -> None:
    raw = bytearray(_SCENE.evidence.data)
    raw[at] ^= change
    with pytest.raises(BadEvidenceError):
        _SCENE.with_quote(bytes(raw)).claims()


@given(st.integers(_HEADER_AND_REPORT, len(_SCENE.evidence.data) - 1), st.integers(1, 255))
def test_a_changed_byte_after_the_report_never_changes_what_is_claimed(
    at: int, change: int
) -> None:
    """Some such quotes pass, because PEM can be written in many ways: their hash names nothing."""
    raw = bytearray(_SCENE.evidence.data)
    raw[at] ^= change
    try:
        claims = _SCENE.with_quote(bytes(raw)).claims()
    except AttestationError:
        return
    assert claims == _SCENE.claims()


def test_two_different_quotes_can_say_the_same() -> None:
    chain = _SCENE.evidence.data.index(b"-----BEGIN")
    raw = bytearray(_SCENE.evidence.data)
    raw[raw.index(b"\n", chain + 40)] = ord(" ")
    assert bytes(raw) != _SCENE.evidence.data
    assert _SCENE.with_quote(bytes(raw)).claims() == _SCENE.claims()


def test_evidence_that_was_cut_or_has_something_appended_is_refused() -> None:
    raw = _SCENE.evidence.data
    for other in (raw[:-1], raw[:436], raw[:10], b"", raw + b"\0", raw + raw):
        with pytest.raises(BadEvidenceError):
            _SCENE.with_quote(other).claims()


def test_another_quoting_enclave_is_refused() -> None:
    identity = json.loads(_SCENE.collateral.qe_identity)
    identity["mrsigner"] = "00" * 32
    text = json.dumps(identity)
    signature = sign_raw(_SCENE.platform.tcb_signing.key, text.encode()).hex()
    forged = msgspec.structs.replace(
        _SCENE.collateral, qe_identity=text, qe_identity_signature=signature
    )
    with pytest.raises(BadEvidenceError, match="MRSIGNER"):
        replace(_SCENE, collateral=forged).claims()


def test_an_attestation_key_that_the_platform_did_not_certify_is_refused() -> None:
    thief = replace(_SCENE.platform, attestation_key=pki.new_key())
    vouched, own = (each.quote(PROCESS, REPORT_DATA) for each in (_SCENE.platform, thief))
    forged = own[:564] + vouched[564:]
    with pytest.raises(BadEvidenceError):
        _SCENE.with_quote(forged).claims()


def test_evidence_of_another_format_is_refused() -> None:
    with pytest.raises(UnknownFormatError, match="'scone'"):
        replace(_SCENE, evidence=Evidence("scone", _SCENE.evidence.data)).claims()
    assert _SCENE.evidence.format == DCAP_V3


def test_a_time_before_1970_is_no_time() -> None:
    with pytest.raises(ValueError, match="no time to verify at"):
        replace(_SCENE, now=-5.0).claims()


def test_collateral_is_kept_in_a_file_that_everybody_may_read(tmp_path: Path) -> None:
    file = tmp_path / "collateral.json"
    file.write_bytes(b"older")
    _SCENE.collateral.save(file)
    assert Collateral.load(file) == _SCENE.collateral
    assert stat.S_IMODE(file.stat().st_mode) & 0o400
    assert [each.name for each in tmp_path.iterdir()] == ["collateral.json"]


def test_a_file_without_collateral_says_so(tmp_path: Path) -> None:
    with pytest.raises(CollateralUnavailableError, match="No such file"):
        Collateral.load(tmp_path / "collateral.json")
    (tmp_path / "collateral.json").write_text("{}")
    with pytest.raises(CollateralError, match="fetch it again"):
        Collateral.load(tmp_path / "collateral.json")


def test_collateral_without_readable_dates_says_so() -> None:
    damaged = msgspec.structs.replace(_SCENE.collateral, pck_crl="00")
    with pytest.raises(CollateralError, match="without dates"):
        _ = damaged.runs_out


def _resigned(change: Callable[[dict[str, Any]], None]) -> Scene:
    """The owner says something else about the platform, properly signed."""
    info = json.loads(_SCENE.collateral.tcb_info)
    change(info)
    text = json.dumps(info)
    signature = sign_raw(_SCENE.platform.tcb_signing.key, text.encode()).hex()
    said = msgspec.structs.replace(_SCENE.collateral, tcb_info=text, tcb_info_signature=signature)
    return replace(_SCENE, collateral=said)
