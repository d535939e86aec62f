"""What makes a policy worthless, and what makes it weak.

A worthless policy admits what it was written to keep out. That is an error unless the policy says `testing = true`;
then the same finding is a warning, and one more warning says that the policy is for testing. So whatever is wrong is
said either way, and nobody gets a worthless policy by forgetting a line.

A simulated root is worthless: who runs the machine can sign any evidence. `root` has no default, so that it is said,
and a policy that trusts a simulated root has to say `testing = true` as well. This holds for a policy that was made on
a machine without SGX from what was measured there, too: it has both lines, its other lines are as strict as ever, and
on a machine with SGX these two have to be changed.

| code | worthless because |
| --- | --- |
| `variant_pins_nothing` | the variant admits every program |
| `signer_without_minimum_svn` | it admits every version, with all faults that were mended since |
| `debug_admitted` | the host reads a debug enclave's memory |
| `all_advisories_ignored` | it admits platforms with faults that are not known today |
| `tcb_out_of_date`, `tcb_revoked` | known faults of the platform are not mended, or its keys are known to others |
| `simulated_root` | who runs the machine can make evidence of anything |
| `evidence_age_too_long` | what was true more than a day ago says little about the process that shows it |

| code | weak because |
| --- | --- |
| `testing` | it switches off the errors above |
| `minimum_svn_zero` | every version is at least 0 |
| `tcb_configuration_needed` | something in the machine's firmware, such as hyperthreading, is open |
| `tcb_hardening_needed` | safe only for programs that were built with the mitigations that the platform lacks |
| `advisory_both` | it is refused; that it is ignored, too, has no effect |
| `evidence_age_long` | longer than an hour; no certificate of a server lives that long |
| `variant_repeated` | the same as another one, so one of the two is probably a slip |
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from attestation.claims import Root, TcbStatus
from attestation.findings import Finding, Severity, warning
from attestation.policy import ALL, Policy, PolicyError, Variant

HOUR: Final = 3600
DAY: Final = 24 * HOUR

_WORTHLESS_STATUS: Final = {
    TcbStatus.OUT_OF_DATE: ("tcb_out_of_date", "known faults of the platform are not mended"),
    TcbStatus.OUT_OF_DATE_CONFIGURATION_NEEDED: (
        "tcb_out_of_date",
        "known faults of the platform are not mended",
    ),
    TcbStatus.REVOKED: ("tcb_revoked", "its keys are known to others"),
}
_CONFIGURATION: Final = (
    "tcb_configuration_needed",
    "something in the machine's firmware, such as hyperthreading, is left open",
)
_HARDENING: Final = (
    "tcb_hardening_needed",
    "safe only for programs built with the mitigations that the platform lacks",
)
_WEAK_STATUS: Final = {
    TcbStatus.CONFIGURATION_NEEDED: (_CONFIGURATION,),
    TcbStatus.SW_HARDENING_NEEDED: (_HARDENING,),
    TcbStatus.CONFIGURATION_AND_SW_HARDENING_NEEDED: (_CONFIGURATION, _HARDENING),
}


FOR_TESTING: Final = (
    "evidence that it accepts may be simulated, so it protects from nobody who runs the machine"
)
"""What it means that a policy says so of itself."""


class WorthlessPolicyError(PolicyError):
    """The policy has errors and does not say that it is for testing."""

    code = "policy_worthless"


def lint(policy: Policy) -> list[Finding]:
    """What is wrong with it; worst first, in the order of the file."""
    worthless = [*_worthless(policy)]
    if not policy.testing:
        return [*worthless, *_weak(policy)]
    said = warning("testing", "testing", f"the policy is for testing: {FOR_TESTING}")
    lowered = [msgspec.structs.replace(each, severity=Severity.WARNING) for each in worthless]
    return [said, *lowered, *_weak(policy)]


def refuse_worthless(policy: Policy) -> None:
    """For whoever is about to rely on it.

    Raises:
        WorthlessPolicyError: it has errors.
    """
    errors = [each for each in lint(policy) if each.severity is Severity.ERROR]
    if errors:
        texts = "; ".join(f"{each.path}: {each.text}" for each in errors)
        raise WorthlessPolicyError(
            f"the policy is worthless, and does not say that it is for testing: {texts}"
        )


def _worthless(policy: Policy) -> Iterator[Finding]:
    if policy.root is Root.SIMULATED:
        text = "SIMULATED: who runs the machine can make evidence of anything; also say `testing = true`"
        yield Finding("root", "simulated_root", text)
    if policy.maximum_evidence_age_seconds > DAY:
        text = f"evidence may be older than a day ({DAY} s)"
        yield Finding("maximum_evidence_age_seconds", "evidence_age_too_long", text)
    for index, status in enumerate(policy.accepted_tcb):
        if status in _WORTHLESS_STATUS:
            code, text = _WORTHLESS_STATUS[status]
            yield Finding(f"accepted_tcb[{index}]", code, f"{status} is accepted: {text}")
    if ALL in policy.ignored_advisories:
        text = (
            "every advisory is ignored, also those that nobody knows yet; name those that are meant"
        )
        yield Finding("ignored_advisories", "all_advisories_ignored", text)
    if policy.admit_debug:
        text = "debug enclaves are admitted; the host reads their memory"
        yield Finding("admit_debug", "debug_admitted", text)
    for index, variant in enumerate(policy.variants):
        yield from _worthless_variant(f"variant[{index}]", variant)


def _worthless_variant(path: str, variant: Variant) -> Iterator[Finding]:
    if variant.mrenclave is None and variant.signer is None:
        text = f"{variant.name!r} admits every program: give it mrenclave, signer or both"
        yield Finding(path, "variant_pins_nothing", text)
    if variant.signer is not None and variant.signer.minimum_svn is None:
        text = f"{variant.name!r} admits every version that was ever signed: give minimum_svn"
        yield Finding(f"{path}.signer", "signer_without_minimum_svn", text)


def _weak(policy: Policy) -> Iterator[Finding]:
    if HOUR < policy.maximum_evidence_age_seconds <= DAY:
        text = f"evidence may be older than an hour ({HOUR} s); no server's certificate lives that long"
        yield warning("maximum_evidence_age_seconds", "evidence_age_long", text)
    for index, status in enumerate(policy.accepted_tcb):
        for code, text in _WEAK_STATUS.get(status, ()):
            yield warning(f"accepted_tcb[{index}]", code, f"{status} is accepted: {text}")
    for index, advisory in enumerate(policy.ignored_advisories):
        if advisory in policy.refused_advisories:
            text = f"{advisory} is refused, so ignoring it has no effect"
            yield warning(f"ignored_advisories[{index}]", "advisory_both", text)
    for index, variant in enumerate(policy.variants):
        yield from _weak_variant(f"variant[{index}]", variant, policy.variants[:index])


def _weak_variant(path: str, variant: Variant, before: tuple[Variant, ...]) -> Iterator[Finding]:
    if variant.signer is not None and variant.signer.minimum_svn == 0:
        text = f"{variant.name!r}: every version is at least 0, so all that were ever signed are admitted"
        yield warning(f"{path}.signer.minimum_svn", "minimum_svn_zero", text)
    for other in before:
        if (other.mrenclave, other.signer) == (variant.mrenclave, variant.signer):
            text = f"{variant.name!r} asks the same as {other.name!r}"
            yield warning(path, "variant_repeated", text)
