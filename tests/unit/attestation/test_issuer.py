"""Certificates for users, signed with an authority of the process's own that changes while the process lives."""

import datetime as dt
from pathlib import Path
from typing import Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.verification import PolicyBuilder, Store

from attestation import extension
from attestation.errors import NoEvidenceError
from attestation.evidence import DCAP_V3, Evidence
from attestation.issuer import Credential, ServerIssuer
from standby import pki
from standby.identity import Identity, Role
from standby.ids import Uid
from tests.support.certificates import Certificates

ANNA: Final = Uid("anna")
EVIDENCE: Final = Evidence(DCAP_V3, b"quote")
HALF_AN_HOUR: Final = dt.timedelta(minutes=30)


@pytest.fixture(scope="module")
def root() -> pki.Authority:
    return pki.Authority.create("test servers", dt.timedelta(days=1))


def credential(
    root: pki.Authority,
    key: pki.PrivateKey,
    *,
    life: dt.timedelta = HALF_AN_HOUR,
    evidence: Evidence | None = EVIDENCE,
) -> Credential:
    usage = pki.Usage(server=True)
    above = root.intermediate("issuer", dt.timedelta(days=1), usage, path_length=1)
    own = above.certify(key.public_key(), Identity(Role.INSTANCE, Uid("0a" * 8)), usage, life)
    return Credential(
        key=key,
        chain=(own, *above.chain),
        evidence=evidence,
        claims=b"claims",
        collateral=None,
        begins=dt.datetime.now(dt.UTC),
    )


def leaf_of(issuer: ServerIssuer, uid: Uid = ANNA) -> x509.Certificate:
    return x509.load_pem_x509_certificate(issuer.certificate(uid).chain_pem)


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def test_a_users_certificate_leads_to_the_root_through_the_processs_own(
    root: pki.Authority,
) -> None:
    given = credential(root, pki.new_key())
    leaf, *between = x509.load_pem_x509_certificates(
        ServerIssuer.of(given).certificate(ANNA).chain_pem
    )
    assert between == list(given.chain)
    verifier = (
        PolicyBuilder()
        .store(Store([root.certificate]))
        .max_chain_depth(3)
        .build_server_verifier(x509.DNSName("anna"))
    )
    assert verifier.verify(leaf, between)[0] == leaf


def test_each_certificate_carries_the_evidence_about_its_key(root: pki.Authority) -> None:
    given = credential(root, pki.new_key())
    issuer = ServerIssuer.of(given)
    for uid in (ANNA, Uid("bert")):
        leaf = leaf_of(issuer, uid)
        attached = extension.of_certificate(der(leaf))
        assert (attached.evidence, attached.claims) == (EVIDENCE, b"claims")
        assert leaf.public_key() == given.key.public_key()


def test_without_evidence_there_is_no_extension(
    root: pki.Authority, certificates: Certificates
) -> None:
    off = ServerIssuer.of(credential(root, pki.new_key(), evidence=None))
    by_hand = ServerIssuer.load(certificates.issuer_certificate, certificates.issuer_key)
    for issuer in (off, by_hand):
        with pytest.raises(NoEvidenceError):
            extension.of_certificate(der(leaf_of(issuer)))


def test_after_a_renewal_the_next_certificate_is_of_the_new_authority(root: pki.Authority) -> None:
    key = pki.new_key()
    old, new = credential(root, key), credential(root, key)
    issuer = ServerIssuer.of(old)
    before = issuer.certificate(ANNA)
    assert issuer.certificate(ANNA) is before
    issuer.replace(new)
    after = issuer.certificate(ANNA)
    assert after is not before
    assert x509.load_pem_x509_certificates(after.chain_pem)[1] == new.chain[0]
    assert after.key_pem == before.key_pem


def test_no_certificate_outlives_the_authority_and_none_is_made_in_vain(
    root: pki.Authority,
) -> None:
    given = credential(root, pki.new_key(), life=dt.timedelta(minutes=2))
    issuer = ServerIssuer.of(given)
    minted = issuer.certificate(ANNA)
    assert minted.not_after == given.ends
    assert issuer.certificate(ANNA) is minted


def test_a_certificate_that_could_last_longer_is_made_anew(
    root: pki.Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attestation.issuer.LIFETIME", dt.timedelta(minutes=4))
    issuer = ServerIssuer.of(credential(root, pki.new_key()))
    assert issuer.certificate(ANNA) is not issuer.certificate(ANNA)


def test_nothing_that_is_printed_shows_the_key(root: pki.Authority) -> None:
    given = credential(root, pki.new_key())
    assert "key=" not in repr(given)
    assert "PRIVATE" not in repr(ServerIssuer.of(given).certificate(ANNA))


def test_files_that_hold_something_else_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("nothing")
    with pytest.raises(ValueError, match="PEM"):
        ServerIssuer.load(file, file)
