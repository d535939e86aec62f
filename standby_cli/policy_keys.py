"""The key of the platform's own policy, and putting signed policies in their place.

The platform signs the policies that it makes itself, with a key of its own that lies sealed in `trust`. Clients get the
public key when they are enrolled, and take newer versions without a person. An operator who writes policies has the key
elsewhere; only its public part is here then.

Versions never go back, even if the policy was deleted meanwhile: clients that have a version take none that is not
newer. The highest one is in a file of its own, which is written before the policy is.
"""

from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from attestation import policy_signing, sealing, signed_policy
from attestation.policy_signing import ForgedPolicyError
from standby import durable
from standby.seal import Seal
from standby_cli import kept_policy
from standby_cli import seal as seal_keys
from standby_cli.layout import Layout
from standby_cli.seal import SealError

LOCK: Final = "policy"
"""Under which a platform's policy is read and replaced."""


def own(layout: Layout, seal: Seal) -> Ed25519PrivateKey:
    """The key of the platform's own policy, which is made at the first use.

    Raises:
        SealError: it is gone while clients may have its public key, or cannot be opened.
    """
    file = layout.own_policy_key
    if not file.exists() and layout.policy_key.exists() and kept_policy.is_own_file(layout.policy):
        raise SealError(
            f"{file} is gone; put it back, or take {layout.policy_key} away to begin with a new key: users must be"
            " enrolled again then, or their clients keep the policy that they have"
        )
    try:
        return sealing.signing_key(file, seal)
    except ValueError as error:
        raise seal_keys.unopened(file, layout, error) from error


def highest_version(layout: Layout) -> int:
    """The highest that was ever signed here; 0: none was."""
    try:
        return int(layout.policy_version.read_text())
    except (FileNotFoundError, ValueError):
        return 0


def put(layout: Layout, text: str, key: Ed25519PrivateKey) -> None:
    """Sign the policy, and put it in its place; it is on disk when this returns.

    Raises:
        PolicyError: it is none, or is too long to be signed.
    """
    signed = policy_signing.sign(signed_policy.unsigned(text.encode()), key)
    version = policy_signing.check(signed, key.public_key()).version
    durable.replace(layout.policy_version, str(max(version, highest_version(layout))).encode())
    durable.replace(layout.policy_key, policy_signing.public_pem(key))
    durable.replace(layout.policy, signed.content)


def has_signed(key: Ed25519PrivateKey, file: Path) -> bool:
    """Whether the file holds a policy that this key has signed."""
    found = signed_policy.load(file)
    if found is None:
        return False
    try:
        policy_signing.check(found, key.public_key())
    except ForgedPolicyError:
        return False
    return True
