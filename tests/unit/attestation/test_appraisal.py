"""Verified, bound and decided: a peer is admitted if all three hold, and each of them refuses by itself."""

import msgspec
import pytest

from attestation import binding
from attestation.appraisal import NotAdmittedError, Shown, appraise
from attestation.binding import Binding
from attestation.claims import Claims, Root, TcbStatus
from attestation.errors import (
    AttestationError,
    BadEvidenceError,
    ClaimsMismatchError,
    CollateralExpiredError,
    OtherInstanceError,
    OtherKeyError,
    StaleNonceError,
    UntrustedRootError,
)
from attestation.evidence import DCAP_V3, Evidence
from attestation.policy import Policy, Refusal, Signer, Variant
from attestation.soft.collateral import Standing
from attestation.trust import Trust
from attestation.verify import INTEL
from tests.unit.attestation.simulated import NOW, PROCESS, Scene, scene

_SCENE = scene()
"""Read only, and made once because each has five keys."""
_KEY, _NONCE, _INSTANCE = b"a public key in DER", b"\x5a" * 32, "0123456789abcdef"
_MADE_AT = NOW.timestamp() - 2
_POLICY = Policy(
    version=1,
    root=Root.SIMULATED,
    one_user_per_process=True,
    maximum_evidence_age_seconds=10,
    accepted_tcb=(TcbStatus.UP_TO_DATE,),
    variants=(Variant(name="ours", mrenclave=(PROCESS.mrenclave.hex(),)),),
    testing=True,
)
_TRUST = Trust(_POLICY, _SCENE.root)
_CLAIMS = Binding.of_key(_KEY, nonce=_NONCE, instance=_INSTANCE).claims()


def _shown(claims: bytes = _CLAIMS, key: bytes = _KEY) -> Shown:
    quoted = _SCENE.platform.quote(PROCESS, binding.report_data(claims))
    return Shown(Evidence(DCAP_V3, quoted), claims, key)


def _appraise(
    shown: Shown,
    trust: Trust = _TRUST,
    scene: Scene = _SCENE,
    *,
    nonce: bytes = _NONCE,
    instance: str | None = _INSTANCE,
    made_at: float = _MADE_AT,
) -> Claims:
    return appraise(
        trust,
        shown,
        scene.collateral,
        nonce=nonce,
        made_at=made_at,
        now=scene.now,
        instance=instance,
    ).claims


def test_a_peer_for_which_all_three_hold_is_admitted() -> None:
    claims = _appraise(_shown())
    assert (claims.mrenclave, claims.made_at) == ("a1" * 32, _MADE_AT)
    assert claims.report_data == binding.report_data(_CLAIMS)


def test_which_process_it_is_counts_only_for_who_expects_a_certain_one() -> None:
    assert _appraise(_shown(), instance=None).made_at == _MADE_AT
    nameless = Binding.of_key(_KEY, nonce=_NONCE).claims()
    assert _appraise(_shown(nameless), instance=None).made_at == _MADE_AT
    with pytest.raises(OtherInstanceError):
        _appraise(_shown(nameless))


@pytest.mark.parametrize(
    ("shown", "error"),
    [
        (_shown(key=b"another key"), OtherKeyError),
        (_shown(Binding.of_key(_KEY, instance=_INSTANCE).claims()), StaleNonceError),
        (_shown(Binding.of_key(_KEY, nonce=b"x", instance=_INSTANCE).claims()), StaleNonceError),
        (_shown(Binding.of_key(_KEY, nonce=_NONCE, instance="other").claims()), OtherInstanceError),
        (msgspec.structs.replace(_shown(), claims=_CLAIMS + b"\0"), ClaimsMismatchError),
        (
            msgspec.structs.replace(_shown(), evidence=Evidence(DCAP_V3, b"nonsense")),
            BadEvidenceError,
        ),
    ],
)
def test_what_is_about_something_else_is_refused(
    shown: Shown, error: type[AttestationError]
) -> None:
    with pytest.raises(error) as refused:
        _appraise(shown)
    assert type(refused.value) is error


def test_what_does_not_verify_is_refused() -> None:
    with pytest.raises(UntrustedRootError):
        _appraise(_shown(), Trust(_POLICY, INTEL))
    with pytest.raises(CollateralExpiredError):
        _appraise(_shown(), scene=_SCENE.at(NOW.replace(year=2031)))


def test_what_is_not_bound_is_refused_even_if_the_policy_would_not_admit_it_either() -> None:
    other = _TRUST.policy.variants[0]
    strict = Trust(
        _with(variant=msgspec.structs.replace(other, mrenclave=("00" * 32,))), _SCENE.root
    )
    with pytest.raises(OtherKeyError):
        _appraise(_shown(key=b"another key"), strict)


def test_what_the_policy_does_not_admit_is_refused_with_every_reason() -> None:
    signer = Signer(mrsigner="cc" * 32, product_id=7, minimum_svn=4)
    strict = Trust(_with(variant=Variant(name="newer", signer=signer)), _SCENE.root)
    poor = _SCENE.with_standing(Standing(tcb_status=TcbStatus.OUT_OF_DATE))
    with pytest.raises(NotAdmittedError) as refused:
        _appraise(_shown(), strict, poor)
    error = refused.value
    found = [Refusal.TCB_STATUS, Refusal.MRSIGNER, Refusal.SVN]
    assert [reason.refusal for reason in error.decision.reasons] == found
    assert not error.decision.admitted
    assert (error.code, error.claims.tcb_status) == ("not_admitted", TcbStatus.OUT_OF_DATE)
    assert str(error) == "; ".join(reason.text for reason in error.decision.reasons)
    assert "svn: expected at least 4, found 3" in str(error)


def test_evidence_for_an_old_challenge_is_too_old() -> None:
    with pytest.raises(NotAdmittedError, match="evidence_age: expected at most 10 s"):
        _appraise(_shown(), made_at=NOW.timestamp() - 11)


def test_a_policy_for_intel_with_a_simulated_root_beside_it_still_refuses() -> None:
    """No file makes such a trust; what the policy says counts all the same."""
    mixed = Trust(msgspec.structs.replace(_POLICY, root=Root.INTEL), _SCENE.root)
    with pytest.raises(NotAdmittedError, match="root: expected intel, found SIMULATED"):
        _appraise(_shown(), mixed)


def _with(variant: Variant) -> Policy:
    return msgspec.structs.replace(_POLICY, variants=(variant,))
