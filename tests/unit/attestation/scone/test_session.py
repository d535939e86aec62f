from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from hypothesis import HealthCheck, given, settings

from attestation.issuer import ServerIssuer
from attestation.scone import grammar, session
from attestation.scone.pool import Pool, PoolError
from standby.ids import parse_uid
from standby.secret import Secret
from tests.support import scone_session
from tests.support.scone_session import Secrets
from tests.unit.attestation.scone import pools
from tests.unit.attestation.scone.pools import made


def test_the_session_of_the_full_description_is_as_reviewed() -> None:
    assert session.text(pools.full()) == (pools.GOLDEN / "session.yaml").read_text()


@settings(suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(pools.valid())
def test_any_valid_pool_has_a_session_that_the_checker_accepts(pool: Pool) -> None:
    text = session.text(pool)
    parsed = msgspec.yaml.decode(text)
    assert grammar.check(parsed) == []
    assert parsed == session.build(pool)
    assert session.text(pool) == text


def _service(pool: Pool) -> Any:
    services: Any = session.build(pool)["services"]
    return services[0]


def test_variants_are_or_and_inside_one_all_holds() -> None:
    signer = {"mrsigner": "cd" * 32, "isvprodid": 1, "isvsvn_min": 2}
    both = made(mrenclave=["ab" * 32, "ef" * 32], signer=signer)
    assert _service(both)["attestation"] == [
        {"mrenclave": "ab" * 32, "signer": signer},
        {"mrenclave": "ef" * 32, "signer": signer},
    ]
    assert _service(made(mrenclave=[], signer=signer))["attestation"] == [{"signer": signer}]
    assert _service(made())["attestation"] == [{"mrenclave": "ab" * 32}]


def test_what_comes_from_the_host_is_named_and_nothing_else_does() -> None:
    pool = made(environment={"set": {"A": "1"}, "host": ["PORT"]})
    assert _service(pool)["environment"] == {
        "A": "1",
        "PORT": "@@PORT",
        "SCONE_ALLOW_DLOPEN": "1",
    }


def test_a_new_session_names_no_predecessor() -> None:
    assert "predecessor" not in session.build(made())
    assert session.build(made(predecessor="ab" * 32))["predecessor"] == "ab" * 32


def test_the_protected_file_system_comes_with_its_key_or_not_at_all() -> None:
    key = Secret(b"\x05" * 32)
    protected = made(filesystem={"path": "/fs.fspf", "tag": "07" * 16})
    service = _services_with(protected, key)
    assert (service["fspf_path"], service["fspf_tag"]) == ("/fs.fspf", "07" * 16)
    assert service["fspf_key"] == "05" * 32
    assert grammar.check(msgspec.yaml.decode(session.text(protected, key))) == []
    with pytest.raises(PoolError, match="the key is missing"):
        session.build(protected)
    with pytest.raises(PoolError, match="describes none"):
        session.build(made(), key)


def _services_with(pool: Pool, key: Secret) -> Any:
    services: Any = session.build(pool, key)["services"]
    return services[0]


def test_the_config_id_names_the_service_of_the_session() -> None:
    pool = made(session="a/b")
    assert session.config_id(pool) == "a/b/server"
    assert _service(pool)["name"] == "server"


def _secret(pool: Pool, name: str) -> Any:
    secrets: Any = session.build(pool)["secrets"]
    return next(each for each in secrets if each["name"] == name)


def test_nothing_is_exported_but_the_certificate_that_clients_trust() -> None:
    secrets: Any = session.build(pools.full())["secrets"]
    exporting = {each["name"] for each in secrets if {"export", "export_public"} & each.keys()}
    assert exporting == {session.AUTHORITY}
    assert _secret(pools.full(), session.AUTHORITY)["kind"] == "x509-ca"


def test_a_new_version_keeps_what_clients_trust_and_changes_what_servers_sign_with() -> None:
    pool = pools.full()
    authority, issuer = _secret(pool, session.AUTHORITY), _secret(pool, "issuer")
    assert _secret(pool, authority["private_key"])["migrate"] is True
    assert _secret(pool, issuer["private_key"])["migrate"] is False
    assert "valid_for" in issuer


def test_a_server_is_told_where_its_identity_is_if_the_pool_says_by_which_variables() -> None:
    identity = {"certificate": "ISSUER", "key": "ISSUER_KEY"}
    told = _service(made(identity=identity))["environment"]
    assert told["ISSUER"] == "/run/identity/issuer.pem"
    assert told["ISSUER_KEY"] == "/run/identity/issuer-key.pem"
    assert _service(made())["environment"] == {"SCONE_ALLOW_DLOPEN": "1"}


def test_with_the_injected_files_a_server_mints_what_clients_of_the_session_accept(
    tmp_path: Path,
) -> None:
    built = session.build(pools.full())
    secrets = Secrets.made(built)
    files = scone_session.files(built, secrets)
    for path in (session.IDENTITY_CERTIFICATE, session.IDENTITY_KEY):
        (tmp_path / Path(path).name).write_text(files[path])
    minted = ServerIssuer.load(tmp_path / "issuer.pem", tmp_path / "issuer-key.pem")
    leaf, *above = x509.load_pem_x509_certificates(minted.certificate(parse_uid("anna")).chain_pem)
    trusted = x509.load_pem_x509_certificate(secrets.certificate(session.AUTHORITY).encode())
    assert [each.issuer for each in (leaf, *above)] == [above[0].subject, trusted.subject]
    leaf.verify_directly_issued_by(above[0])
    above[0].verify_directly_issued_by(trusted)


def test_the_names_of_its_authorities_fit_into_certificates() -> None:
    pool = made(name="a" * 63)
    names = [_secret(pool, name)["common_name"] for name in (session.AUTHORITY, "issuer")]
    assert len(set(names)) == 2
    assert max(map(len, names)) <= 64
