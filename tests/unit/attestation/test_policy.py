"""A policy admits what it says, says every reason for a refusal, and cannot be misread."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation.claims import Claims, Root, TcbStatus
from attestation.policy import (
    Policy,
    PolicyError,
    Refusal,
    Signer,
    Variant,
    decide,
    digest,
    load,
)
from standby import logs

A, B, C = "a" * 64, "b" * 64, "c" * 64
NOW = 1_000_000.0
ADVISORIES = ("INTEL-SA-00001", "INTEL-SA-00002", "INTEL-SA-00003")

TEXT = f"""\
version = 3
root = "intel"
one_user_per_process = true
maximum_evidence_age_seconds = 600
accepted_tcb = ["UpToDate", "SWHardeningNeeded"]
ignored_advisories = ["{ADVISORIES[0]}"]
refused_advisories = ["{ADVISORIES[1]}"]

[[variant]]
name = "new"
mrenclave = ["{A}", "{B}"]

[[variant]]
name = "signed"
signer = {{ mrsigner = "{C}", product_id = 1, minimum_svn = 4 }}
"""
POLICY = Policy(
    version=3,
    root=Root.INTEL,
    one_user_per_process=True,
    maximum_evidence_age_seconds=600,
    accepted_tcb=(TcbStatus.UP_TO_DATE, TcbStatus.SW_HARDENING_NEEDED),
    ignored_advisories=ADVISORIES[:1],
    refused_advisories=ADVISORIES[1:2],
    variants=(
        Variant(name="new", mrenclave=(A, B)),
        Variant(name="signed", signer=Signer(mrsigner=C, product_id=1, minimum_svn=4)),
    ),
)
CLAIMS = Claims(
    root=Root.INTEL,
    mrenclave=A,
    mrsigner=B,
    product_id=0,
    svn=0,
    debug=False,
    tcb_status=TcbStatus.UP_TO_DATE,
    advisories=(),
    report_data=bytes(range(64)),
    made_at=NOW - 10,
)


def _file(directory: Path, text: str) -> Path:
    file = directory / "policy.toml"
    file.write_text(text)
    return file


def _with(changed: Any, **fields: Any) -> Any:
    return msgspec.structs.replace(changed, **fields)


def _refusals(policy: Policy, claims: Claims) -> list[tuple[Refusal, str | None]]:
    decision = decide(policy, claims, NOW)
    assert decision.admitted is not bool(decision.reasons)
    return [(each.refusal, each.variant) for each in decision.reasons]


# --- the file


def test_a_file_says_what_the_policy_says(tmp_path: Path) -> None:
    assert load(_file(tmp_path, TEXT)) == POLICY


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("version = 3", "version = 0", "`int` >= 1 - at `$.version`"),
        ("version = 3", "version = true", "Expected `int`, got `bool` - at `$.version`"),
        ("version = 3", "version = 3\ntest = true", "unknown field `test`"),
        ("version = 3", "version = = 3", "at line 1, column 11"),
        ('"intel"', '"amd"', "Invalid enum value 'amd' - at `$.root`"),
        ('root = "intel"\n', "", "missing required field `root`"),
        ("process = true", "process = false", "one_user_per_process must be true"),
        ("one_user_per_process = true\n", "", "missing required field `one_user_per_process`"),
        ("seconds = 600", "seconds = 0", "at `$.maximum_evidence_age_seconds`"),
        ('["UpToDate", "SWHardeningNeeded"]', "[]", "length >= 1 - at `$.accepted_tcb`"),
        ('"SWHardeningNeeded"', '"Fine"', "Invalid enum value 'Fine' - at `$.accepted_tcb[1]`"),
        (A, A[1:], "64 hex digits in lower case - at `$.variant[0].mrenclave[0]`"),
        (B, B.upper(), "64 hex digits in lower case - at `$.variant[0].mrenclave[1]`"),
        (B, B + "\\n", "64 hex digits in lower case - at `$.variant[0].mrenclave[1]`"),
        (f'["{A}", "{B}"]', "[]", "length >= 1 - at `$.variant[0].mrenclave`"),
        (C, "x" * 64, "64 hex digits in lower case - at `$.variant[1].signer.mrsigner`"),
        ("svn = 4", "svn = 65536", "at `$.variant[1].signer.minimum_svn`"),
        ("svn = 4", "svn = -1", "at `$.variant[1].signer.minimum_svn`"),
        ("product_id = 1, ", "", "missing required field `product_id` - at `$.variant[1].signer`"),
        ("minimum_svn", "min_svn", "unknown field `min_svn` - at `$.variant[1].signer`"),
        ('"signed"', '"new"', "two variants have the same name"),
        ('"signed"', '"si\\u0007gned"', "a name of up to 100"),
        ("INTEL-SA-00001", "SA-1", 'or "*" - at `$.ignored_advisories[0]`'),
        ("INTEL-SA-00002", "*", 'an advisory such as "INTEL-SA-00615" - at `$.refused'),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_place(
    old: str, new: str, words: str, tmp_path: Path
) -> None:
    assert old in TEXT
    file = _file(tmp_path, TEXT.replace(old, new, 1))
    with pytest.raises(PolicyError) as caught:
        load(file)
    assert words in str(caught.value)
    assert str(file) in str(caught.value)
    assert caught.value.code == "policy_invalid"


def test_a_file_without_variants_or_without_text_is_no_policy(tmp_path: Path) -> None:
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    for file in (
        _file(tmp_path, TEXT.split("[[", maxsplit=1)[0]),
        binary,
        tmp_path / "absent",
        tmp_path,
    ):
        with pytest.raises(PolicyError, match="cannot use"):
            load(file)


# --- its name


def test_the_digest_ignores_what_says_nothing(tmp_path: Path) -> None:
    same = TEXT.replace(f'"{A}", "{B}"', f'"{B}", "{A}", "{A}"').replace(
        "version", "# new\nversion"
    )
    same = same.replace('"UpToDate", "SWHardeningNeeded"', '"SWHardeningNeeded", "UpToDate"')
    assert digest(load(_file(tmp_path, same))) == digest(POLICY)


@pytest.mark.parametrize(
    "changed",
    [
        {"version": 4},
        {"root": Root.SIMULATED},
        {"maximum_evidence_age_seconds": 601},
        {"accepted_tcb": (TcbStatus.UP_TO_DATE,)},
        {"refused_advisories": ()},
        {"ignored_advisories": ADVISORIES[:2]},
        {"testing": True},
        {"admit_debug": True},
        {"variants": POLICY.variants[::-1]},
        {"variants": POLICY.variants[:1]},
        {"variants": (Variant(name="new", mrenclave=(A,)), POLICY.variants[1])},
        {"variants": (Variant(name="old", mrenclave=(A, B)), POLICY.variants[1])},
    ],
    ids=str,
)
def test_the_digest_changes_with_whatever_says_something(changed: dict[str, Any]) -> None:
    assert digest(_with(POLICY, **changed)) != digest(POLICY)
    assert len(digest(POLICY)) == 64


# --- the decision


def test_the_first_variant_that_holds_admits() -> None:
    signed = _with(CLAIMS, mrsigner=C, product_id=1, svn=4)
    assert decide(POLICY, CLAIMS, NOW).variant == "new"
    assert decide(POLICY, signed, NOW).variant == "new"
    assert decide(POLICY, _with(signed, mrenclave=C), NOW).variant == "signed"


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        ({"root": Root.SIMULATED}, Refusal.ROOT),
        ({"debug": True}, Refusal.DEBUG),
        ({"tcb_status": TcbStatus.OUT_OF_DATE}, Refusal.TCB_STATUS),
        ({"tcb_status": TcbStatus.REVOKED}, Refusal.TCB_STATUS),
        ({"advisories": ADVISORIES[1:2]}, Refusal.ADVISORY_REFUSED),
        ({"advisories": ADVISORIES[2:]}, Refusal.ADVISORY_NOT_IGNORED),
        ({"made_at": None}, Refusal.EVIDENCE_AGE),
        ({"made_at": NOW - 600.1}, Refusal.EVIDENCE_AGE),
        ({"made_at": NOW + 0.1}, Refusal.EVIDENCE_AGE),
        ({"made_at": float("nan")}, Refusal.EVIDENCE_AGE),
    ],
    ids=str,
)
def test_one_thing_that_differs_is_the_one_reason(
    changed: dict[str, Any], refusal: Refusal
) -> None:
    assert _refusals(POLICY, _with(CLAIMS, **changed)) == [
        (refusal, None),
        *[(each, "signed") for each in (Refusal.MRSIGNER, Refusal.PRODUCT_ID, Refusal.SVN)],
    ]


def test_every_variant_says_why_it_refuses_and_what_was_found() -> None:
    decision = decide(POLICY, _with(CLAIMS, mrenclave=C, mrsigner=C, svn=3), NOW)
    assert [each.text for each in decision.reasons] == [
        f"variant 'new': mrenclave: expected {A[:16]}… or {B[:16]}…, found {C[:16]}…",
        "variant 'signed': product_id: expected 1, found 0",
        "variant 'signed': svn: expected at least 4, found 3",
    ]


def test_the_texts_of_all_reasons_at_once_can_be_logged_and_hold_nothing_the_process_said() -> None:
    worst = Claims(
        root=Root.SIMULATED,
        mrenclave=C,
        mrsigner=A,
        product_id=2,
        svn=0,
        debug=True,
        tcb_status=TcbStatus.REVOKED,
        advisories=ADVISORIES,
        report_data=CLAIMS.report_data,
        made_at=None,
    )
    decision = decide(POLICY, worst, NOW)
    assert {each.refusal for each in decision.reasons} == {*Refusal} - {Refusal.EVIDENCE}
    for each in decision.reasons:
        assert logs.scrub("reason", each.text) == each.text
        assert CLAIMS.report_data.hex()[:16] not in each.text
    assert "expected intel, found SIMULATED" in decision.reasons[0].text


def test_debug_needs_both_words() -> None:
    debug = _with(CLAIMS, debug=True)
    for testing, admit in ((True, False), (False, True)):
        assert not decide(_with(POLICY, testing=testing, admit_debug=admit), debug, NOW).admitted
    assert decide(_with(POLICY, testing=True, admit_debug=True), debug, NOW).admitted


def test_a_refused_advisory_is_refused_where_all_are_ignored() -> None:
    lax = _with(POLICY, ignored_advisories=("*",))
    assert decide(lax, _with(CLAIMS, advisories=ADVISORIES[2:]), NOW).admitted
    assert not decide(lax, _with(CLAIMS, advisories=ADVISORIES), NOW).admitted


# --- whatever the policy is

_measurements = st.sampled_from((A, B, C))
_signers = st.builds(
    Signer,
    mrsigner=_measurements,
    product_id=st.integers(0, 1),
    minimum_svn=st.none() | st.integers(0, 2),
)
_variants = st.builds(
    Variant,
    name=st.uuids().map(str),
    mrenclave=st.none() | st.lists(_measurements, min_size=1, max_size=2).map(tuple),
    signer=st.none() | _signers,
)
_statuses = st.sampled_from(TcbStatus)
_some_advisories = st.lists(st.sampled_from(ADVISORIES), max_size=2, unique=True).map(tuple)
_policies = st.builds(
    Policy,
    version=st.just(1),
    root=st.sampled_from(Root),
    one_user_per_process=st.just(True),
    maximum_evidence_age_seconds=st.integers(1, 3),
    accepted_tcb=st.lists(_statuses, min_size=1, max_size=7).map(tuple),
    refused_advisories=_some_advisories,
    ignored_advisories=_some_advisories | st.just(("*",)),
    testing=st.booleans(),
    admit_debug=st.booleans(),
    variants=st.lists(_variants, min_size=1, max_size=3).map(tuple),
)
_claims = st.builds(
    Claims,
    root=st.sampled_from(Root),
    mrenclave=_measurements,
    mrsigner=_measurements,
    product_id=st.integers(0, 1),
    svn=st.integers(0, 2),
    debug=st.booleans(),
    tcb_status=_statuses,
    advisories=_some_advisories,
    report_data=st.just(bytes(64)),
    made_at=st.none() | st.integers(-1, 4).map(lambda age: NOW - age),
)


@st.composite
def _likely(draw: st.DrawFn) -> tuple[Policy, Claims]:
    """A policy and claims that have a fair chance to fit, so that admissions are tried, too."""
    policy, claims = draw(_policies), draw(_claims)
    changes: dict[str, Any] = {
        "root": policy.root,
        "debug": False,
        "tcb_status": policy.accepted_tcb[0],
        "advisories": tuple({*policy.ignored_advisories} - {*policy.refused_advisories, "*"}),
        "made_at": NOW - 1,
    }
    kept = draw(st.sets(st.sampled_from(sorted(changes)), max_size=1))
    return policy, _with(claims, **{key: changes[key] for key in changes if key not in kept})


def _holds(policy: Policy, claims: Claims) -> bool:
    """The same decision in one formula."""

    def variant_holds(variant: Variant) -> bool:
        signer = variant.signer
        return (variant.mrenclave is None or claims.mrenclave in variant.mrenclave) and (
            signer is None
            or (
                (signer.mrsigner, signer.product_id) == (claims.mrsigner, claims.product_id)
                and claims.svn >= (signer.minimum_svn or 0)
            )
        )

    open_to = {*claims.advisories}
    ignored = open_to if "*" in policy.ignored_advisories else {*policy.ignored_advisories}
    return (
        claims.root is policy.root
        and (not claims.debug or (policy.testing and policy.admit_debug))
        and claims.tcb_status in policy.accepted_tcb
        and open_to <= ignored - {*policy.refused_advisories}
        and claims.made_at is not None
        and 0 <= NOW - claims.made_at <= policy.maximum_evidence_age_seconds
        and any(map(variant_holds, policy.variants))
    )


@given(_likely())
def test_the_decision_is_the_formula_and_reasons_are_those_of_a_refusal(
    both: tuple[Policy, Claims],
) -> None:
    decision = decide(*both, NOW)
    assert decision.admitted is _holds(*both)
    assert decision.admitted is (not decision.reasons)
    assert (decision.variant is not None) is decision.admitted


@given(_likely(), _variants)
def test_another_variant_never_refuses_what_was_admitted(
    both: tuple[Policy, Claims], another: Variant
) -> None:
    policy, claims = both
    for variants in ((*policy.variants, another), (another, *policy.variants)):
        if decide(policy, claims, NOW).admitted:
            assert decide(_with(policy, variants=variants), claims, NOW).admitted


def _stricter_variants(variant: Variant, signer: Signer) -> list[Variant]:
    found = [_with(variant, mrenclave=variant.mrenclave[:1] if variant.mrenclave else (A,))]
    if variant.signer is None:
        return [*found, _with(variant, signer=signer)]
    more = (variant.signer.minimum_svn or 0) + 1
    return [*found, _with(variant, signer=_with(variant.signer, minimum_svn=more))]


def _stricter(policy: Policy, signer: Signer) -> list[Policy]:
    variants = policy.variants
    changes: list[dict[str, Any]] = [
        {"accepted_tcb": policy.accepted_tcb[:1]},
        {"refused_advisories": ADVISORIES},
        {"ignored_advisories": ()},
        {"maximum_evidence_age_seconds": 1},
        {"testing": False},
        {"admit_debug": False},
        {"variants": variants[:1]},
        *[{"variants": (each, *variants[1:])} for each in _stricter_variants(variants[0], signer)],
    ]
    return [_with(policy, **change) for change in changes]


@given(_likely(), _signers)
def test_another_requirement_never_admits_more(both: tuple[Policy, Claims], signer: Signer) -> None:
    policy, claims = both
    if not decide(policy, claims, NOW).admitted:
        for stricter in _stricter(policy, signer):
            assert not decide(stricter, claims, NOW).admitted
