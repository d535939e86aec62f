r"""Who may say which policy comes next: the holder of one key, whose public part a verifier has.

    signed by Ed25519:  "standby policy 1\n", then the policy's text, byte for byte; the version is in the text

A verifier takes a policy in place of its own if the signature is good under the key that it has, the version is
greater, the root is the one that it has, and the policy passes its own checks (`attestation.lint`). A policy that is
not for testing is not replaced by one that is, because `testing` turns the checks into warnings. An equal or lower
version changes nothing, so an old policy that was signed once cannot be brought back.

Not promised: that the verifier learns of the newest version. A server that a newer policy withdraws will hardly pass
that policy on. Where this matters, the policy has to come by another way.

PolicyError
├── ForgedPolicyError      policy_forged      not signed by this key
└── UnwantedPolicyError    policy_unwanted    signed, and nothing that may take the place of the verifier's policy
"""

from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from attestation import lint, policy
from attestation.policy import Policy, PolicyError
from attestation.signed_policy import LONGEST, SignedPolicy
from attestation.trust import Trust

_DOMAIN: Final = b"standby policy 1\n"


class ForgedPolicyError(PolicyError):
    """The policy was not signed by this key, or was changed since."""

    code = "policy_forged"


class UnwantedPolicyError(PolicyError):
    """The policy is signed, and may not take the place of the verifier's."""

    code = "policy_unwanted"


def sign(text: bytes, key: Ed25519PrivateKey) -> SignedPolicy:
    """The policy with its signature.

    Raises:
        PolicyError: it is longer than a policy that servers can pass on.
    """
    whole = text if text.endswith(b"\n") else text + b"\n"
    if len(whole) > LONGEST:
        raise PolicyError(
            f"the policy has {len(whole)} bytes, one that can be signed has at most {LONGEST}:"
            " take old measurements and comments out"
        )
    return SignedPolicy(whole, key.sign(_DOMAIN + whole))


def check(signed: SignedPolicy, key: Ed25519PublicKey) -> Policy:
    """What was signed.

    Raises:
        ForgedPolicyError: it was not signed by this key.
        PolicyError: the text is no policy.
    """
    try:
        key.verify(signed.signature, _DOMAIN + signed.text)
    except InvalidSignature as error:
        raise ForgedPolicyError("the policy is not signed by the key that is pinned") from error
    return policy.parse(signed.text, "the signed policy")


def successor(trust: Trust, signed: SignedPolicy, key: Ed25519PublicKey) -> Trust | None:
    """What takes the place of `trust`; None: the policy is not newer, so nothing changes.

    Raises:
        ForgedPolicyError: it was not signed by this key.
        PolicyError: it is none, is worthless, or asks less of servers than a newer version may.
    """
    found, own = check(signed, key), trust.policy
    if found.version <= own.version:
        return None
    lint.refuse_worthless(found)
    if found.root is not own.root:
        raise UnwantedPolicyError(
            f'version {found.version} has root = "{found.root}" in place of "{own.root}"'
        )
    if found.testing and not own.testing:
        raise UnwantedPolicyError(f"version {found.version} is for testing, and yours is not")
    return Trust(found, trust.root)


def public_pem(key: Ed25519PrivateKey) -> bytes:
    """The public key, as verifiers have it."""
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def private_pem(key: Ed25519PrivateKey) -> bytes:
    """The key itself, not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def load_public(file: Path) -> Ed25519PublicKey:
    """The public key in a file.

    Raises:
        PolicyError: it cannot be read, or is another kind of key.
    """
    try:
        key = serialization.load_pem_public_key(file.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise PolicyError(f"cannot use {file}, the policy's public key: {error}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise PolicyError(f"{file} is no key of policies: Ed25519 is expected")
    return key


def load_private(file: Path) -> Ed25519PrivateKey:
    """The key in a file.

    Raises:
        PolicyError: it cannot be read, or is another kind of key; the text does not quote it.
    """
    wrong = f"{file} is no policy key: `standby policy new-key` makes one"
    try:
        key = serialization.load_pem_private_key(file.read_bytes(), None)
    except OSError as error:
        raise PolicyError(f"cannot read the policy key {file}: {error.strerror}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise PolicyError(wrong) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise PolicyError(wrong)
    return key
