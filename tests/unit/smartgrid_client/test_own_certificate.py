"""A client reads its own certificate and key before it connects: what does not fit is told with the file's name."""

import datetime as dt
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from smartgrid_client import private_key
from smartgrid_client.credentials import Credentials
from smartgrid_client.own_certificate import CredentialsError, OwnCertificate
from standby import pki
from standby.identity import Role
from standby.ids import Uid
from standby.settings import SettingsError
from standby.tls import TlsFiles, client_context
from tests.support.certificates import Certificates

ALICE = Uid("alice")
NOW = dt.datetime.now(dt.UTC)
PASSPHRASE = b"correct horse"


@pytest.mark.parametrize(
    ("uid", "role", "now", "said"),
    [
        ("bob", Role.CUSTOMER, NOW, ("customer alice, not of bob", "--sni alice")),
        ("nobody", Role.CUSTOMER, NOW, ("customer alice, not of nobody", "--sni alice")),
        ("alice", Role.METER, NOW, ("customer alice", "--role meter", "--db-key")),
        ("alice", Role.CUSTOMER, NOW - dt.timedelta(days=2), ("only from", "set the clock")),
        ("alice", Role.CUSTOMER, NOW + dt.timedelta(days=2), ("was valid until", "standby enroll")),
    ],
)
def test_what_does_not_fit_is_told_with_what_to_do(
    certificates: Certificates, uid: str, role: Role, now: dt.datetime, said: tuple[str, ...]
) -> None:
    file = certificates.user("alice").certificate
    with pytest.raises(CredentialsError) as refused:
        OwnCertificate.read(file).check(Uid(uid), role, now)
    assert all(each in str(refused.value) for each in (str(file), *said))


def test_the_dates_of_an_expired_certificate_and_of_the_clock_are_told(
    certificates: Certificates,
) -> None:
    own = OwnCertificate.read(certificates.user("alice").certificate)
    late = own.ends + dt.timedelta(days=400)
    with pytest.raises(CredentialsError) as refused:
        own.check(ALICE, Role.CUSTOMER, late)
    for moment in (own.ends, late):
        assert f"{moment:%Y-%m-%d %H:%M} UTC" in str(refused.value)


def test_a_certificate_of_a_part_is_no_users(certificates: Certificates) -> None:
    file = certificates.part(Role.OPERATOR, "local").certificate
    with pytest.raises(CredentialsError, match="operator local, which is no user"):
        OwnCertificate.read(file).check(Uid("local"), Role.CUSTOMER, NOW)


def test_the_users_own_certificate_fits(certificates: Certificates) -> None:
    for role in (Role.CUSTOMER, Role.METER):
        own = OwnCertificate.read(certificates.user("alice", role).certificate)
        own.check(ALICE, role, dt.datetime.now(dt.UTC))  # it may have been made after `NOW`


def test_a_certificate_and_a_key_that_do_not_belong_together_are_named(
    certificates: Certificates,
) -> None:
    alice, bob = certificates.user("alice"), certificates.user("bob")
    files = TlsFiles(
        certificate=alice.certificate, key=bob.key, authorities=certificates.servers_ca
    )
    for load in (Credentials.load, client_context):
        with pytest.raises(SettingsError) as refused:
            load(files)
        assert f"{bob.key} is the key of another certificate than {alice.certificate}" in str(
            refused.value
        )


@pytest.mark.parametrize("of", ["certificate", "key", "authorities"])
@pytest.mark.parametrize(("content", "said"), [(None, "No such file"), (b"none\n", "in PEM")])
def test_a_file_that_cannot_be_used_is_named(
    certificates: Certificates, tmp_path: Path, of: str, content: bytes | None, said: str
) -> None:
    alice, file = certificates.user("alice"), tmp_path / "file"
    if content is not None:
        file.write_bytes(content)
    files = {"certificate": alice.certificate, "key": alice.key, "authorities": alice.authorities}
    chosen = TlsFiles(**(files | {of: file}))
    for load in (Credentials.load, client_context):
        with pytest.raises(SettingsError) as refused:
            load(chosen)
        assert str(file) in str(refused.value)
        assert said in str(refused.value)


# --- encrypted keys


@pytest.fixture
def encrypted(certificates: Certificates, tmp_path: Path) -> TlsFiles:
    alice = certificates.user("alice")
    key = serialization.load_pem_private_key(alice.key.read_bytes(), None)
    file = tmp_path / "encrypted.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(PASSPHRASE),
        )
    )
    return TlsFiles(certificate=alice.certificate, key=file, authorities=alice.authorities)


def test_an_encrypted_key_opens_with_the_passphrase_of_a_file(
    encrypted: TlsFiles, tmp_path: Path
) -> None:
    (tmp_path / "passphrase").write_bytes(PASSPHRASE + b"\nanother line\n")
    loaded = Credentials.load(encrypted, private_key.passphrase_from(tmp_path / "passphrase"))
    assert loaded.uid == ALICE
    assert isinstance(loaded.key, pki.PrivateKey)


@pytest.mark.parametrize("line", [b"wrong", b"", b"x" * 2000])
def test_a_passphrase_that_does_not_fit_is_refused_and_not_shown(
    encrypted: TlsFiles, tmp_path: Path, line: bytes
) -> None:
    (tmp_path / "passphrase").write_bytes(line + b"\n")
    with pytest.raises(CredentialsError, match=r"does not open with this|is no passphrase") as told:
        Credentials.load(encrypted, private_key.passphrase_from(tmp_path / "passphrase"))
    assert not line or line.decode() not in str(told.value)


def test_a_part_does_not_wait_for_a_passphrase_at_a_terminal(encrypted: TlsFiles) -> None:
    with pytest.raises(SettingsError, match="is encrypted; store it without a passphrase"):
        client_context(encrypted)
