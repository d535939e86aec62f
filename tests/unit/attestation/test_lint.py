"""Each thing that makes a policy worthless or weak is found, by its code; a sound policy has no findings."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from attestation import lint as linter
from attestation.claims import Root, TcbStatus
from attestation.findings import Severity
from attestation.lint import WorthlessPolicyError, lint, refuse_worthless
from attestation.policy import Policy, Signer, Variant, load

A, B = "a" * 64, "b" * 64
SOUND = Policy(
    version=1,
    root=Root.INTEL,
    one_user_per_process=True,
    maximum_evidence_age_seconds=3600,
    accepted_tcb=(TcbStatus.UP_TO_DATE,),
    ignored_advisories=("INTEL-SA-00615",),
    refused_advisories=("INTEL-SA-00233",),
    variants=(
        Variant(name="one", mrenclave=(A,)),
        Variant(name="two", signer=Signer(mrsigner=B, product_id=1, minimum_svn=1)),
    ),
)
_STATUS = "accepted_tcb[1]"


def _signed(minimum_svn: int | None) -> Variant:
    return Variant(name="x", signer=Signer(mrsigner=B, product_id=1, minimum_svn=minimum_svn))


def _accepting(status: TcbStatus) -> dict[str, Any]:
    return {"accepted_tcb": (TcbStatus.UP_TO_DATE, status)}


WORTHLESS: list[tuple[dict[str, Any], str, str]] = [
    ({"variants": (SOUND.variants[0], Variant(name="x"))}, "variant[1]", "variant_pins_nothing"),
    ({"variants": (_signed(None),)}, "variant[0].signer", "signer_without_minimum_svn"),
    ({"admit_debug": True}, "admit_debug", "debug_admitted"),
    ({"ignored_advisories": ("*",)}, "ignored_advisories", "all_advisories_ignored"),
    (_accepting(TcbStatus.OUT_OF_DATE), _STATUS, "tcb_out_of_date"),
    (_accepting(TcbStatus.OUT_OF_DATE_CONFIGURATION_NEEDED), _STATUS, "tcb_out_of_date"),
    (_accepting(TcbStatus.REVOKED), _STATUS, "tcb_revoked"),
    ({"root": Root.SIMULATED}, "root", "simulated_root"),
    (
        {"maximum_evidence_age_seconds": 86_401},
        "maximum_evidence_age_seconds",
        "evidence_age_too_long",
    ),
]
WEAK: list[tuple[dict[str, Any], list[str]]] = [
    ({"testing": True}, ["testing"]),
    ({"variants": (_signed(0),)}, ["minimum_svn_zero"]),
    (_accepting(TcbStatus.CONFIGURATION_NEEDED), ["tcb_configuration_needed"]),
    (_accepting(TcbStatus.SW_HARDENING_NEEDED), ["tcb_hardening_needed"]),
    (
        _accepting(TcbStatus.CONFIGURATION_AND_SW_HARDENING_NEEDED),
        ["tcb_configuration_needed", "tcb_hardening_needed"],
    ),
    ({"refused_advisories": ("INTEL-SA-00615",)}, ["advisory_both"]),
    ({"maximum_evidence_age_seconds": 3601}, ["evidence_age_long"]),
    ({"maximum_evidence_age_seconds": 86_400}, ["evidence_age_long"]),
    ({"variants": (_signed(1), *SOUND.variants)}, ["variant_repeated"]),
]


def _changed(**fields: Any) -> Policy:
    return msgspec.structs.replace(SOUND, **fields)


def test_there_is_nothing_to_say_against_a_sound_policy() -> None:
    assert lint(SOUND) == []
    refuse_worthless(SOUND)


@pytest.mark.parametrize(("changed", "path", "code"), WORTHLESS, ids=lambda each: str(each)[:40])
def test_what_makes_it_worthless_is_an_error(changed: dict[str, Any], path: str, code: str) -> None:
    (found,) = lint(_changed(**changed))
    assert (found.path, found.code, found.severity) == (path, code, Severity.ERROR)
    with pytest.raises(WorthlessPolicyError, match=re.escape(f"{path}: ")):
        refuse_worthless(_changed(**changed))


@pytest.mark.parametrize(("changed", "path", "code"), WORTHLESS, ids=lambda each: str(each)[:40])
def test_in_a_policy_for_testing_it_is_still_said(
    changed: dict[str, Any], path: str, code: str
) -> None:
    policy = _changed(**changed, testing=True)
    said, found = lint(policy)
    assert said.code == "testing"
    assert (found.path, found.code, found.severity) == (path, code, Severity.WARNING)
    refuse_worthless(policy)


@pytest.mark.parametrize(("changed", "codes"), WEAK, ids=lambda each: str(each)[:40])
def test_what_makes_it_weak_is_a_warning(changed: dict[str, Any], codes: list[str]) -> None:
    found = lint(_changed(**changed))
    assert [each.code for each in found] == codes
    assert {each.severity for each in found} == {Severity.WARNING}
    refuse_worthless(_changed(**changed))


def test_errors_come_first() -> None:
    policy = _changed(root=Root.SIMULATED, variants=(_signed(0), Variant(name="y")))
    found = [each.code for each in lint(policy)]
    assert found == ["simulated_root", "variant_pins_nothing", "minimum_svn_zero"]


def test_the_table_of_codes_names_what_is_tried_here_and_nothing_else() -> None:
    tables = [line for line in (linter.__doc__ or "").splitlines() if line.startswith("| `")]
    documented = {code for line in tables for code in re.findall(r"`(\w+)`", line.split("|")[1])}
    tried = {code for _, _, code in WORTHLESS} | {code for _, codes in WEAK for code in codes}
    assert documented == tried


def test_the_example_in_the_documentation_is_sound(tmp_path: Path) -> None:
    page = Path(__file__).parents[3] / "docs/how-to/write-a-policy.md"
    (example,) = re.findall(r"```toml\n(version.*?)```", page.read_text("utf-8"), re.DOTALL)
    file = tmp_path / "policy.toml"
    file.write_text(example)
    assert lint(load(file)) == []
