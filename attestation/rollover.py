"""From one version of a policy to the next while the program changes: admit the new one besides, then withdraw the old.

    version 1: old        every server is old
    version 2: old, new   wrappers are restarted one after the other; clients with version 2 are admitted to both
    version 3: new        no server is old any more

Pure: it takes a policy and gives the next one. Measurements are 64 hex digits.
"""

from collections.abc import Collection, Iterator

from msgspec.structs import replace

from attestation.policy import Policy, PolicyError, Variant, short


def measurements(policy: Policy) -> set[str]:
    """All that variants name."""
    return {each for variant in policy.variants for each in variant.mrenclave or ()}


def names(policy: Policy, measurement: str) -> bool:
    """Whether a variant names the measurement."""
    return measurement in measurements(policy)


def admit(policy: Policy, added: Collection[str], name: str) -> Policy:
    """The next version, which admits processes of these measurements besides; the same one if it names them already.

    `name` is that of the new variant, with the version if another one has it.
    """
    new = tuple(sorted(each for each in {*added} if not names(policy, each)))
    if not new:
        return policy
    version = policy.version + 1
    taken = {variant.name for variant in policy.variants}
    own = name if name not in taken else f"{name[:80]} version {version}"
    variant = Variant(name=own, mrenclave=new)
    return replace(policy, version=version, variants=(*policy.variants, variant))


def withdraw(policy: Policy, kept: Collection[str]) -> Policy:
    """The next version, which names no measurement but these; the same one if it names no other.

    Raises:
        PolicyError: it does not admit one of `kept`, or has a variant that names no measurement.
    """
    for measurement in kept:
        if not names(policy, measurement):
            raise PolicyError(
                f"version {policy.version} does not admit {short(measurement)}: admit it first, or its servers"
                " would be refused"
            )
    variants = tuple(_kept(policy, kept))
    if variants == policy.variants:
        return policy
    return replace(policy, version=policy.version + 1, variants=variants)


def _kept(policy: Policy, kept: Collection[str]) -> Iterator[Variant]:
    for variant in policy.variants:
        if variant.mrenclave is None:
            raise PolicyError(
                f"variant {variant.name!r} names no measurement, so none can be withdrawn from it: write the next"
                " version by hand, and sign it"
            )
        left = tuple(each for each in variant.mrenclave if each in kept)
        if left:
            yield variant if left == variant.mrenclave else replace(variant, mrenclave=left)
