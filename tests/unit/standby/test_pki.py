"""An authority signs what it may and for no longer than it lives itself; its key is kept as its owner wants."""

import datetime as dt
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from standby import pki
from standby.identity import Identity, Role
from standby.ids import Uid

_DAY = dt.timedelta(days=1)
_SERVER = pki.Usage(server=True)
_INSTANCE = Identity(Role.INSTANCE, Uid("0123456789abcdef"))
_ALICE = Identity(Role.SERVER, Uid("alice"))
_OID = x509.ObjectIdentifier("2.23.133.5.4.9")


class _Inverted:
    """A seal that can be recognised: it turns each bit around."""

    def close(self, content: bytes) -> bytes:
        return bytes(each ^ 0xFF for each in content)

    def open(self, sealed: bytes) -> bytes:
        return self.close(sealed)


@pytest.fixture(scope="module")
def root() -> pki.Authority:
    return pki.Authority.create("root", _DAY)


def _path_length(certificate: x509.Certificate) -> int | None:
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value.ca
    return constraints.value.path_length


def _name(certificate: x509.Certificate) -> str | bytes:
    (name,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return name.value


# --- files


@pytest.mark.parametrize("seal", [None, _Inverted()])
def test_an_authority_is_the_same_after_a_restart(
    tmp_path: Path, root: pki.Authority, seal: _Inverted | None
) -> None:
    files = (tmp_path / "issuer.pem", tmp_path / "issuer-key.pem")
    issuer = root.intermediate("issuer", _DAY, _SERVER)
    issuer.save(*files, seal)
    again = pki.Authority.load(*files, seal)
    assert again.chain == issuer.chain
    leaf = again.issue(pki.new_key().public_key(), _ALICE, _SERVER, _DAY)
    leaf.verify_directly_issued_by(issuer.certificate)
    assert stat.S_IMODE(files[1].stat().st_mode) == 0o600


def test_a_sealed_key_is_on_disk_as_the_seal_made_it(tmp_path: Path, root: pki.Authority) -> None:
    files = (tmp_path / "root.pem", tmp_path / "root-key.pem")
    root.save(*files, _Inverted())
    assert b"PRIVATE" not in files[1].read_bytes()
    assert b"PRIVATE" in _Inverted().open(files[1].read_bytes())
    assert files[0].read_bytes() == pki.certificate_pem(root.certificate)
    with pytest.raises(ValueError, match="PEM"):
        pki.Authority.load(*files)


def test_a_key_that_was_saved_without_a_seal_is_not_opened_with_one(
    tmp_path: Path, root: pki.Authority
) -> None:
    files = (tmp_path / "root.pem", tmp_path / "root-key.pem")
    root.save(*files)
    with pytest.raises(ValueError, match="PEM"):
        pki.Authority.load(*files, _Inverted())


def test_the_key_of_another_certificate_is_noticed_at_start(
    tmp_path: Path, root: pki.Authority
) -> None:
    files = (tmp_path / "root.pem", tmp_path / "root-key.pem")
    root.save(*files)
    pki.write_private(files[1], pki.key_pem(pki.new_key()))
    with pytest.raises(ValueError, match="is the key of another certificate than"):
        pki.Authority.load(*files)


# --- authorities below others


def test_the_path_length_is_what_was_asked_for_and_zero_otherwise(root: pki.Authority) -> None:
    assert _path_length(root.certificate) is None
    assert _path_length(root.intermediate("a", _DAY, _SERVER).certificate) == 0
    assert _path_length(root.intermediate("a", _DAY, _SERVER, path_length=1).certificate) == 1


def test_a_key_of_somebody_else_is_made_an_authority_for_leaves_only(root: pki.Authority) -> None:
    key = pki.new_key()
    certificate = root.certify(key.public_key(), _INSTANCE, _SERVER, _DAY)
    certificate.verify_directly_issued_by(root.certificate)
    assert certificate.public_key() == key.public_key()
    assert _path_length(certificate) == 0
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    assert (usage.critical, usage.value.key_cert_sign, usage.value.digital_signature) == (
        True,
        True,
        False,
    )
    purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.SERVER_AUTH]
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [each.value for each in names] == ["spiffe://standby.internal/instance/0123456789abcdef"]


def test_a_leaf_of_the_same_name_and_key_does_not_pass_for_self_signed(root: pki.Authority) -> None:
    """A user may be called like a process, and the process's one key is in both certificates."""
    key = pki.new_key()
    certificate = root.certify(key.public_key(), _INSTANCE, _SERVER, _DAY)
    authority = pki.Authority(key, [certificate])
    leaf = authority.issue(key.public_key(), Identity(Role.SERVER, _INSTANCE.name), _SERVER, _DAY)
    assert (_name(certificate), _name(leaf)) == ("instance 0123456789abcdef", "0123456789abcdef")
    assert leaf.subject != leaf.issuer


def test_nothing_outlives_the_authority_that_signs_it(root: pki.Authority) -> None:
    key = pki.new_key().public_key()
    issuer = root.intermediate("issuer", 5 * _DAY, _SERVER, path_length=1)
    signed = [
        issuer.certificate,
        issuer.certify(key, _INSTANCE, _SERVER, 5 * _DAY),
        issuer.issue(key, _ALICE, _SERVER, 5 * _DAY),
    ]
    end = root.certificate.not_valid_after_utc
    assert [each.not_valid_after_utc for each in signed] == [end] * 3


def test_a_lifetime_that_the_authority_can_give_is_given(root: pki.Authority) -> None:
    hour = dt.timedelta(hours=1)
    certificate = root.certify(pki.new_key().public_key(), _INSTANCE, _SERVER, hour)
    left = certificate.not_valid_after_utc - dt.datetime.now(dt.UTC)
    assert hour - dt.timedelta(minutes=1) < left <= hour


# --- further extensions


def test_further_extensions_are_in_the_certificate_and_not_critical(root: pki.Authority) -> None:
    key, further = pki.new_key().public_key(), x509.UnrecognizedExtension(_OID, b"value")
    for certificate in (
        root.certify(key, _INSTANCE, _SERVER, _DAY, [further]),
        root.issue(key, _ALICE, _SERVER, _DAY, extensions=[further]),
    ):
        found = certificate.extensions.get_extension_for_oid(_OID)
        assert (found.critical, found.value) == (False, further)


def test_without_further_extensions_there_are_none(root: pki.Authority) -> None:
    leaf = root.issue(pki.new_key().public_key(), _ALICE, _SERVER, _DAY, hosts=["alice", "::1"])
    with pytest.raises(x509.ExtensionNotFound):
        leaf.extensions.get_extension_for_oid(_OID)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["alice"]
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["::1"]


def test_a_key_survives_its_pem() -> None:
    key = pki.new_key()
    again = serialization.load_pem_private_key(pki.key_pem(key), password=None)
    assert again.public_key() == key.public_key()
