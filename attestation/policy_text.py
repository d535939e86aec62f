"""A policy as the text of its file, laid out as in the docs; what reads it finds the same policy."""

from collections.abc import Iterable, Iterator

from attestation.policy import Policy, Variant


def write(policy: Policy) -> str:
    """The policy in TOML, without comments."""
    return "\n".join((*_head(policy), *_variants(policy.variants), ""))


def _head(policy: Policy) -> Iterator[str]:
    yield f"version = {policy.version}"
    yield f'root = "{policy.root.value}"'
    if policy.testing:
        yield "testing = true"
    if policy.admit_debug:
        yield "admit_debug = true"
    yield "one_user_per_process = true"
    yield f"maximum_evidence_age_seconds = {policy.maximum_evidence_age_seconds}"
    yield f"accepted_tcb = {_listed(status.value for status in policy.accepted_tcb)}"
    yield f"ignored_advisories = {_listed(policy.ignored_advisories)}"
    yield f"refused_advisories = {_listed(policy.refused_advisories)}"


def _variants(variants: Iterable[Variant]) -> Iterator[str]:
    for variant in variants:
        yield "\n[[variant]]"
        yield f'name = "{variant.name}"'
        if variant.mrenclave is not None:
            yield f"mrenclave = {_listed(variant.mrenclave)}"
        if variant.signer is not None:
            signer = variant.signer
            parts = [f'mrsigner = "{signer.mrsigner}"', f"product_id = {signer.product_id}"]
            if signer.minimum_svn is not None:
                parts.append(f"minimum_svn = {signer.minimum_svn}")
            yield f"signer = {{ {', '.join(parts)} }}"


def _listed(values: Iterable[str]) -> str:
    """None of the texts in a policy can hold a quotation mark, a backslash or a control character."""
    quoted = ", ".join(f'"{value}"' for value in values)
    return f"[{quoted}]"
