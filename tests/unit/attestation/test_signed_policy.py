"""Which files hold a signed policy, and which keys may say what comes after a verifier's policy."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from attestation import policy, policy_signing, signed_policy
from attestation.policy import PolicyError
from attestation.policy_signing import ForgedPolicyError, UnwantedPolicyError
from attestation.signed_policy import LONGEST, SignedPolicy
from attestation.trust import Trust
from attestation.verify import INTEL
from standby import pki

KEY = Ed25519PrivateKey.generate()
PUBLIC = KEY.public_key()
TEXT = b"""\
version = 2
root = "intel"
one_user_per_process = true
maximum_evidence_age_seconds = 600
accepted_tcb = ["UpToDate"]

[[variant]]
name = "one"
mrenclave = ["%s"]
""" % (b"a" * 64)
SIGNED = policy_signing.sign(TEXT, KEY)
OWN = Trust(policy.parse(TEXT.replace(b"version = 2", b"version = 1"), "own"), INTEL)


def _signed(*changes: tuple[bytes, bytes]) -> SignedPolicy:
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return policy_signing.sign(text, KEY)


def test_a_signed_policy_is_a_policy_file_whose_last_line_is_the_signature(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_bytes(SIGNED.content)
    assert signed_policy.load(file) == SIGNED
    assert policy.load(file) == policy.parse(TEXT, "text")
    assert SIGNED.content.startswith(TEXT)
    assert policy_signing.check(SIGNED, PUBLIC).version == 2


def test_a_text_without_its_last_line_feed_gets_one() -> None:
    assert policy_signing.sign(TEXT.rstrip(b"\n"), KEY) == SIGNED


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: TEXT,
        lambda _: b"",
        lambda content: content[:-1],
        lambda content: content + b"\n",
        lambda content: content + b"testing = true\n",
        lambda content: content.replace(b"# signature: ", b"#_signature: "),
        lambda content: content.replace(b"\n# signature", b" # signature"),
        lambda content: content[:-4] + b"===\n",
        lambda content: content[:-6] + b"\xff" + content[-5:],
        lambda content: b"#" * LONGEST + content,
    ],
)
def test_anything_else_is_not_signed(damage: Callable[[bytes], bytes]) -> None:
    assert signed_policy.read(damage(SIGNED.content)) is None


def test_a_file_that_is_not_there_holds_none(tmp_path: Path) -> None:
    assert signed_policy.load(tmp_path / "policy.toml") is None


def test_a_policy_that_no_server_could_pass_on_is_not_signed() -> None:
    with pytest.raises(PolicyError, match=str(LONGEST)):
        policy_signing.sign(b"#" * LONGEST + TEXT, KEY)


def test_a_newer_version_takes_the_place_of_the_own_one_and_the_root_stays() -> None:
    newer = policy_signing.successor(OWN, SIGNED, PUBLIC)
    assert newer == Trust(policy.parse(TEXT, "text"), INTEL)


@pytest.mark.parametrize("version", [b"1", b"2"])
def test_an_equal_or_older_version_never_does(version: bytes) -> None:
    own = Trust(policy.parse(TEXT, "own"), INTEL)
    offered = _signed((b"version = 2", b"version = " + version), (b"a" * 64, b"b" * 64))
    assert policy_signing.successor(own, offered, PUBLIC) is None


@pytest.mark.parametrize(
    "forged",
    [
        replace(SIGNED, text=SIGNED.text.replace(b"a" * 64, b"b" * 64)),
        replace(SIGNED, text=SIGNED.text + b"\n"),
        replace(SIGNED, signature=bytes(64)),
        policy_signing.sign(TEXT, Ed25519PrivateKey.generate()),
        replace(SIGNED, signature=KEY.sign(TEXT)),
    ],
    ids=["changed", "longer", "no signature", "other key", "signed as something else"],
)
def test_a_forged_one_never_does(forged: SignedPolicy) -> None:
    with pytest.raises(ForgedPolicyError):
        policy_signing.successor(OWN, forged, PUBLIC)


@pytest.mark.parametrize(
    "changes",
    [
        [(b'"intel"', b'"simulated"\ntesting = true')],
        [(b'"intel"', b'"intel"\ntesting = true')],
    ],
    ids=["another root", "for testing"],
)
def test_one_that_asks_less_of_servers_never_does(changes: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(UnwantedPolicyError):
        policy_signing.successor(OWN, _signed(*changes), PUBLIC)


@pytest.mark.parametrize(
    "change",
    [(b"600", b"1000000"), (b"mrenclave", b"nonsense"), (b"version", b"\xff")],
    ids=["worthless", "no policy", "no text"],
)
def test_a_signed_one_that_is_no_sound_policy_never_does(change: tuple[bytes, bytes]) -> None:
    with pytest.raises(PolicyError):
        policy_signing.successor(OWN, _signed(change), PUBLIC)


def test_keys_are_kept_in_pem_and_other_files_are_refused(tmp_path: Path) -> None:
    private, public, other = (tmp_path / name for name in ("key", "key.pem", "other.pem"))
    private.write_bytes(policy_signing.private_pem(KEY))
    public.write_bytes(policy_signing.public_pem(KEY))
    other.write_bytes(pki.key_pem(pki.new_key()))
    loaded = policy_signing.load_private(private)
    assert policy_signing.sign(TEXT, loaded) == SIGNED
    assert policy_signing.check(SIGNED, policy_signing.load_public(public)).version == 2
    for wrong in (public, other, tmp_path / "gone"):
        with pytest.raises(PolicyError, match=wrong.name):
            policy_signing.load_private(wrong)
    for wrong in (private, other, tmp_path / "gone"):
        with pytest.raises(PolicyError, match=wrong.name):
            policy_signing.load_public(wrong)
