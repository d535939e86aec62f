"""Whom a verifier believes comes from its own files, whole or not at all."""

import datetime as dt
import shutil
from pathlib import Path

import pytest

from attestation import trust
from attestation.claims import Root
from attestation.lint import WorthlessPolicyError
from attestation.policy import PolicyError
from attestation.soft.platform import SoftPlatform
from attestation.trust_files import ROOT_FILE
from attestation.verify import INTEL, PinnedRoot
from standby import pki

_POLICY = f"""
version = 3
root = "simulated"
one_user_per_process = true
maximum_evidence_age_seconds = 600
accepted_tcb = ["UpToDate"]
testing = true

[[variant]]
name = "smartgrid"
mrenclave = ["{"a1" * 32}"]
"""


def _policy(directory: Path, text: str = _POLICY) -> Path:
    file = directory / "policy.toml"
    file.write_text(text)
    return file


def test_a_simulated_root_is_pinned_by_the_file_beside_the_policy(tmp_path: Path) -> None:
    platform = SoftPlatform.create()
    platform.save(tmp_path)
    found = trust.load(_policy(tmp_path))
    assert found.root == PinnedRoot.simulated(platform.root_pem)
    assert (found.policy.version, found.policy.root) == (3, Root.SIMULATED)


def test_intels_root_is_the_librarys_whatever_is_beside_the_policy(tmp_path: Path) -> None:
    SoftPlatform.create().save(tmp_path)
    text = _POLICY.replace('"simulated"', '"intel"').replace("testing = true", "")
    assert trust.load(_policy(tmp_path, text)).root is INTEL


def test_a_policy_that_trusts_a_simulated_root_needs_its_certificate(tmp_path: Path) -> None:
    policy = _policy(tmp_path)
    with pytest.raises(PolicyError, match=r"there is no .*simulated-root\.pem beside the policy"):
        trust.load(policy)
    (tmp_path / ROOT_FILE).write_bytes(b"nonsense")
    with pytest.raises(PolicyError, match="is not its certificate"):
        trust.load(policy)


def test_a_root_that_does_not_say_that_it_is_simulated_is_not_pinned(tmp_path: Path) -> None:
    authority = pki.Authority.create("Some SGX Root CA", dt.timedelta(days=1))
    (tmp_path / ROOT_FILE).write_bytes(pki.certificate_pem(authority.certificate))
    with pytest.raises(PolicyError, match="begins with SIMULATED"):
        trust.load(_policy(tmp_path))


def test_a_worthless_policy_is_not_relied_on(tmp_path: Path) -> None:
    SoftPlatform.create().save(tmp_path)
    with pytest.raises(WorthlessPolicyError, match="does not say that it is for testing"):
        trust.load(_policy(tmp_path, _POLICY.replace("testing = true", "")))


def test_a_policy_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="No such file"):
        trust.load(tmp_path / "policy.toml")
    with pytest.raises(PolicyError, match="cannot use"):
        trust.load(_policy(tmp_path, "version = 'x'"))


def test_policy_and_root_can_be_copied_to_another_directory(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    SoftPlatform.create().save(here)
    found = trust.load(_policy(here))
    there.mkdir()
    for file in ("policy.toml", ROOT_FILE):
        shutil.copy(here / file, there)
    assert trust.load(there / "policy.toml") == found
