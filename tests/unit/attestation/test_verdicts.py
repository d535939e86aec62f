"""A verdict says what was decided about which process, by which policy, and what the evidence was."""

from typing import Any

import msgspec
import pytest

from attestation import verdicts
from attestation.claims import Claims, Root, TcbStatus
from attestation.errors import RevokedError
from attestation.policy import Policy, Variant, decide, digest
from attestation.verdicts import Status, Verdict
from standby import logs
from standby.ids import BootId

A, B = "a" * 64, "b" * 64
NOW = 1_000_000.0
BOOT = BootId("0123456789abcdef")
POLICY = Policy(
    version=7,
    root=Root.INTEL,
    one_user_per_process=True,
    maximum_evidence_age_seconds=60,
    accepted_tcb=(TcbStatus.UP_TO_DATE,),
    variants=(Variant(name="one", mrenclave=(A,)),),
)
CLAIMS = Claims(
    root=Root.INTEL,
    mrenclave=A,
    mrsigner=B,
    product_id=1,
    svn=2,
    debug=False,
    tcb_status=TcbStatus.UP_TO_DATE,
    advisories=(),
    report_data=b"\x5a" * 64,
    made_at=NOW - 1,
)


def _verdict(claims: Claims = CLAIMS, **changed: Any) -> Verdict:
    policy = msgspec.structs.replace(POLICY, **changed)
    return verdicts.of_claims(policy, claims, decide(policy, claims, NOW), BOOT, NOW)


def test_an_admission_names_process_policy_variant_and_claims() -> None:
    verdict = _verdict()
    assert (verdict.status, verdict.instance, verdict.at) == (Status.AFFIRMING, BOOT, NOW)
    assert (verdict.policy_version, verdict.policy_digest) == (7, digest(POLICY))
    assert (verdict.variant, verdict.reasons) == ("one", ())
    assert verdict.claims is not None
    assert (verdict.claims.mrenclave, verdict.claims.svn) == (A, 2)
    assert verdict.text.startswith("affirming, policy version 7 (")
    assert "SIMULATED" not in verdict.text


def test_a_refusal_has_its_reasons() -> None:
    verdict = _verdict(msgspec.structs.replace(CLAIMS, mrenclave=B, debug=True))
    assert verdict.status is Status.CONTRAINDICATED
    assert verdict.variant is None
    assert len(verdict.reasons) == 2
    assert all(reason.text in verdict.text for reason in verdict.reasons)


def test_evidence_that_did_not_verify_leads_to_a_verdict_without_claims() -> None:
    error = RevokedError("the platform's certificate is revoked " + "f" * 64)
    verdict = verdicts.of_error(POLICY, error, BOOT, NOW)
    assert (verdict.status, verdict.claims) == (Status.CONTRAINDICATED, None)
    assert "revoked: the platform's certificate is revoked <secret>" in verdict.text


@pytest.mark.parametrize("root", [Root.INTEL, Root.SIMULATED])
def test_a_simulated_root_is_said_whoever_is_simulated(root: Root) -> None:
    simulated = msgspec.structs.replace(CLAIMS, root=Root.SIMULATED)
    verdict = _verdict(simulated, root=root, testing=root is Root.SIMULATED)
    assert (verdict.status is Status.AFFIRMING) is (root is Root.SIMULATED)
    assert verdicts.SIMULATED in verdict.text
    assert ("for testing" in verdict.text) is (root is Root.SIMULATED)


def test_a_verdict_is_data_and_keeps_back_what_the_process_put_into_its_evidence() -> None:
    verdict = _verdict()
    text = msgspec.json.encode(verdict)
    assert msgspec.json.decode(text, type=Verdict) == verdict
    assert b"report_data" not in text
    assert b"5a5a5a" not in text


def test_its_text_can_be_logged_as_it_is() -> None:
    for verdict in (_verdict(), _verdict(msgspec.structs.replace(CLAIMS, mrenclave=B))):
        assert logs.scrub("verdict", verdict.text) == verdict.text
