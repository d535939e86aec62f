"""A platform's private keys at rest: sealed, also those from before, and never sealed with a second key."""

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from attestation import trust
from attestation.issuing.issuer import authority_name
from standby import pki
from standby.identity import Role
from standby_cli import seal
from standby_cli.authorities import Authorities
from standby_cli.layout import Layout
from standby_cli.seal import SealError
from tests.unit.standby_cli.states import simulated_trust


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "state")
    made.make()
    return made


def _keys(layout: Layout) -> list[Path]:
    return [*layout.pki.glob("*-ca-key.pem"), *layout.pki.glob("issuer-*-key.pem")]


def _old_platform(layout: Layout) -> dict[str, bytes]:
    """Keys as they were written before they were sealed."""
    roots = {
        name: pki.Authority.create(f"standby {name} root", pki.CLOCK_SKEW * 100)
        for name in ("servers", "users", "parts")
    }
    for name, root in roots.items():
        root.save(layout.pki / f"{name}-ca.pem", layout.pki / f"{name}-ca-key.pem")
    issuer = roots["servers"].intermediate(
        "standby servers issuer", pki.CLOCK_SKEW, pki.Usage(server=True)
    )
    issuer.save(layout.pki / "issuer.pem", layout.pki / "issuer-key.pem")
    return {file.name: file.read_bytes() for file in layout.pki.glob("*-key.pem")}


def test_no_authoritys_key_can_be_read_without_the_seal_key(layout: Layout) -> None:
    authorities = Authorities(layout)
    authorities.make()
    authorities.renew_issuer("w1", None)
    assert len(_keys(layout)) == 4
    for file in _keys(layout):
        assert b"PRIVATE KEY" not in file.read_bytes()
        assert file.stat().st_mode & 0o077 == 0
    assert layout.seal_key == layout.root.with_name("state.seal-key")
    assert layout.seal_key.stat().st_mode & 0o777 == 0o600
    assert Authorities(layout).users().certificate == authorities.users().certificate


def test_the_seal_key_may_be_elsewhere(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STANDBY_SEAL_KEY", str(tmp_path / "elsewhere" / "key"))
    Authorities(layout).make()
    assert (tmp_path / "elsewhere" / "key").exists()
    assert not (tmp_path / "state.seal-key").exists()


@pytest.mark.parametrize("left", ["pki/users-ca-key.pem", "audit/w1/signing.key"])
def test_a_seal_key_that_is_gone_is_named_and_never_made_anew(layout: Layout, left: str) -> None:
    Authorities(layout).make()
    for file in layout.pki.iterdir():
        if file.name != Path(left).name:
            file.unlink()
    kept = layout.root / left
    kept.parent.mkdir(parents=True, exist_ok=True)
    if not kept.exists():
        kept.write_bytes(Authorities(layout).seal.close(b"a signing key"))
    layout.seal_key.unlink()
    with pytest.raises(SealError) as raised:
        Authorities(layout).make()
    assert str(layout.seal_key) in str(raised.value)
    assert str(kept) in str(raised.value)
    assert "STANDBY_SEAL_KEY" in str(raised.value)
    assert not layout.seal_key.exists()


def test_another_platforms_seal_key_opens_nothing(layout: Layout) -> None:
    Authorities(layout).make()
    layout.seal_key.write_text("ab" * 32 + "\n")
    with pytest.raises(
        SealError, match=r"users-ca-key\.pem cannot be opened .* put the right key back"
    ):
        Authorities(layout).users()
    layout.seal_key.write_text("hello")
    with pytest.raises(SealError, match="cannot be used"):
        Authorities(layout).users()


def test_keys_from_before_are_sealed_at_once_and_stay_the_same_keys(layout: Layout) -> None:
    before = _old_platform(layout)
    serial = x509.load_pem_x509_certificate((layout.pki / "users-ca.pem").read_bytes())
    authorities = Authorities(layout)
    authorities.make()
    for file in layout.pki.glob("*-ca-key.pem"):
        assert not seal.is_plain(file)
        assert authorities.seal.open(file.read_bytes()) == before[file.name]
    assert authorities.users().certificate == serial
    sealed = {file: file.read_bytes() for file in _keys(layout)}
    authorities.make()
    assert {file: file.read_bytes() for file in _keys(layout)} == sealed


@pytest.mark.parametrize("how", ["sealed", "removed"])
def test_what_a_key_was_in_plain_is_overwritten(layout: Layout, how: str) -> None:
    file = layout.pki / "users-ca-key.pem"
    before = _old_platform(layout)[file.name]
    with file.open("rb") as still_open:
        if how == "sealed":
            seal.seal_file(file, Authorities(layout).seal)
        else:
            seal.remove(file)
        assert still_open.read() == bytes(len(before))
    assert file.exists() == (how == "sealed")


def test_issuers_of_an_earlier_start_are_forgotten(layout: Layout) -> None:
    _old_platform(layout)
    authorities = Authorities(layout)
    authorities.make()
    authorities.renew_issuer("w2", None)
    authorities.remove_issuers()
    assert [each.name for each in layout.pki.glob("issuer*")] == []
    assert len(_keys(layout)) == 3


def test_each_wrappers_issuer_says_by_what_servers_are_admitted(layout: Layout) -> None:
    authorities = Authorities(layout)
    authorities.make()
    found = simulated_trust(layout)
    authorities.renew_issuer("w1", found)
    authorities.renew_issuer("w2", None)
    names = []
    for wrapper in ("w1", "w2"):
        certificate, key = authorities.issuer(wrapper)
        loaded = pki.Authority.load(certificate, key, authorities.seal).certificate
        names += [n.value for n in loaded.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        constraints = loaded.extensions.get_extension_for_class(x509.BasicConstraints).value
        assert (constraints.ca, constraints.path_length) == (True, 1)
        usage = loaded.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert [*usage] == pki.Usage(server=True).oids
        root = x509.load_pem_x509_certificate(authorities.servers_root.read_bytes())
        loaded.verify_directly_issued_by(root)
    assert names == [authority_name(found), authority_name(None)]
    assert "SIMULATED policy 1" in names[0]
    assert "not attested" in names[1]


def test_a_new_start_makes_a_new_issuer(layout: Layout) -> None:
    authorities = Authorities(layout)
    authorities.make()
    made = []
    for _ in range(2):
        authorities.renew_issuer("w1", None)
        made.append([file.read_bytes() for file in authorities.issuer("w1")])
    assert not {*made[0]} & {*made[1]}


def test_parts_keys_stay_readable_for_tls(layout: Layout) -> None:
    authorities = Authorities(layout)
    authorities.make()
    files = authorities.part(Role.OPERATOR, "local")
    assert seal.is_plain(files.key)
    assert files.key.stat().st_mode & 0o077 == 0
    assert files == authorities.operator()


def test_trust_can_be_loaded_from_where_a_platform_keeps_it(layout: Layout) -> None:
    assert simulated_trust(layout) == trust.load(layout.policy)
    assert layout.trust.stat().st_mode & 0o077 == 0
