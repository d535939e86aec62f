"""Which policies a client takes in place of its own, and what is in the user's directory afterwards."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from attestation import policy_signing, signed_policy, trust
from attestation.policy import PolicyError
from attestation.signed_policy import SignedPolicy
from attestation.trust_files import KEY_FILE, POLICY_FILE
from smartgrid_client.newer_policy import NewerPolicies, _alone

KEY = Ed25519PrivateKey.generate()
TEXT = """\
version = {version}
root = "intel"
one_user_per_process = true
maximum_evidence_age_seconds = {age}
accepted_tcb = ["UpToDate"]

[[variant]]
name = "one"
mrenclave = ["{measurement}"]
"""


def signed(version: int, *, age: int = 600, key: Ed25519PrivateKey = KEY) -> SignedPolicy:
    text = TEXT.format(version=version, age=age, measurement="b" * 64)
    return policy_signing.sign(text.encode(), key)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A user's policy, version 1."""
    (tmp_path / KEY_FILE).write_bytes(policy_signing.public_pem(KEY))
    made = tmp_path / POLICY_FILE
    made.write_text(TEXT.format(version=1, age=600, measurement="a" * 64))
    made.chmod(0o640)
    return made


@pytest.fixture
def told() -> list[str]:
    return []


Take = Callable[[SignedPolicy], int | None]


@pytest.fixture
def take(file: Path, told: list[str]) -> Take:
    """Offers a policy to one client; gives the version that it goes by afterwards, None: as before."""
    newer, own = NewerPolicies(file, told.append), trust.load(file)

    def offered(policy: SignedPolicy) -> int | None:
        taken = newer.take(own, policy)
        return None if taken is None else taken.policy.version

    return offered


def test_a_newer_version_is_taken_and_kept_and_said_in_one_line(
    take: Take, file: Path, told: list[str]
) -> None:
    assert take(signed(3)) == 3
    assert signed_policy.load(file) == signed(3)
    assert file.stat().st_mode & 0o777 == 0o640
    (line,) = told
    assert line.startswith("policy version 3 replaces version 1")
    assert str(file.with_name(KEY_FILE)) in line
    assert {each.name for each in file.parent.iterdir()} == {KEY_FILE, POLICY_FILE}


@pytest.mark.parametrize("version", [1, 2])
def test_an_older_version_never_changes_anything(file: Path, told: list[str], version: int) -> None:
    file.write_bytes(signed(2).content)
    newer = NewerPolicies(file, told.append)
    assert newer.take(trust.load(file), signed(version, age=700)) is None
    assert signed_policy.load(file) == signed(2)
    assert told == []


def test_a_forged_one_changes_nothing_and_is_said_once(
    take: Take, file: Path, told: list[str]
) -> None:
    before = file.read_bytes()
    for key in (Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()):
        for _ in range(2):
            assert take(signed(9, key=key)) is None
    assert file.read_bytes() == before
    (line,) = told
    assert "policy_forged" in line
    assert take(signed(2)) == 2


def test_a_worthless_one_changes_nothing(take: Take, file: Path, told: list[str]) -> None:
    before = file.read_bytes()
    assert take(signed(2, age=1_000_000)) is None
    assert file.read_bytes() == before
    assert "policy_worthless" in told[0]


def test_without_the_key_the_policy_is_pinned(file: Path, told: list[str]) -> None:
    file.with_name(KEY_FILE).unlink()
    before = file.read_bytes()
    assert NewerPolicies(file, told.append).take(trust.load(file), signed(2)) is None
    assert (file.read_bytes(), told) == (before, [])


def test_a_key_that_is_none_is_said_before_anything_is_sent(file: Path, told: list[str]) -> None:
    file.with_name(KEY_FILE).write_text("nonsense")
    with pytest.raises(PolicyError, match=KEY_FILE):
        NewerPolicies(file, told.append)


def test_where_the_file_cannot_be_written_it_is_used_in_this_run(
    take: Take, file: Path, told: list[str]
) -> None:
    before = file.read_bytes()
    (file.parent / f".{POLICY_FILE}").mkdir()
    assert take(signed(2)) == 2
    assert file.read_bytes() == before
    assert "for this run only: cannot write" in told[0]


def test_of_two_clients_the_one_with_the_older_version_does_not_put_it_back(
    file: Path, told: list[str]
) -> None:
    own = trust.load(file)
    first, second = (NewerPolicies(file, told.append) for _ in range(2))
    assert first.take(own, signed(3))
    assert second.take(own, signed(2))
    assert signed_policy.load(file) == signed(3)


def test_a_client_does_not_wait_for_another_one_that_writes(
    take: Take, file: Path, told: list[str]
) -> None:
    before = file.read_bytes()
    with _alone(file.parent):
        assert take(signed(2)) == 2
    assert file.read_bytes() == before
    assert "for this run only" in told[0]


def test_a_link_to_the_policy_stays_a_link(file: Path, tmp_path: Path, told: list[str]) -> None:
    user = tmp_path / "user"
    user.mkdir()
    for name in (KEY_FILE, POLICY_FILE):
        (user / name).symlink_to(tmp_path / name)
    link = user / POLICY_FILE
    assert NewerPolicies(link, told.append).take(trust.load(link), signed(2))
    assert link.is_symlink()
    assert signed_policy.load(file) == signed(2)
