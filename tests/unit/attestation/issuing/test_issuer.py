"""An honest server gets a short-lived authority for its own key; what is asked of nonces, names and the log holds."""

import datetime as dt
import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from attestation import audit, extension
from attestation.audit import LOG_FILE, Outcome
from attestation.claims import Root
from attestation.collateral import Collateral
from attestation.errors import CollateralUnavailableError, NoEvidenceError
from attestation.issuing.issuer import (
    LIFETIME,
    Unattested,
    authority_name,
)
from attestation.issuing.messages import Issued
from attestation.issuing.nonces import NONCE_LIFETIME
from attestation.trust import Trust
from attestation.verdicts import Status
from attestation.verify import INTEL
from standby import pki
from standby.identity import Identity, Role, parse_uri
from standby.ids import BootId, Uid, new_boot_id
from tests.unit.attestation.issuing.world import (
    DAY,
    POLICY,
    SERVER,
    SIGNER,
    Clock,
    World,
    issued,
    judged,
    refused,
    spki,
)


def _first(answer: Issued) -> x509.Certificate:
    return x509.load_der_x509_certificate(answer.chain[0])


# --- certificates


def test_a_server_gets_an_authority_for_its_key_with_the_evidence_in_it(world: World) -> None:
    server = world.server()
    issuer = world.issuer()
    proof = server.proof(issuer.challenge(server.boot_id))
    answer = issued(issuer.judge(server.boot_id, proof))
    carried = extension.of_certificate(answer.chain[0])
    assert (carried.evidence, carried.claims) == (proof.evidence, proof.claims)
    assert carried.public_key == spki(server.key)
    certificate = _first(answer)
    assert not certificate.extensions.get_extension_for_oid(extension.OID).critical
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (
        True,
        True,
        0,
    )
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_the_certificate_names_the_process_and_no_user(world: World) -> None:
    server = world.server()
    certificate = _first(issued(judged(world.issuer(), server)))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    (uri,) = names.get_values_for_type(x509.UniformResourceIdentifier)
    assert parse_uri(uri) == Identity(Role.INSTANCE, Uid(server.boot_id))
    assert names.get_values_for_type(x509.DNSName) == []


def test_the_chain_leads_to_the_root_without_holding_it(world: World) -> None:
    authority = world.authority(world.trust)
    answer = issued(judged(world.issuer(authority), world.server()))
    assert [x509.load_der_x509_certificate(each).issuer for each in answer.chain] == [
        authority.certificate.subject,
        world.root.certificate.subject,
    ]


def test_a_certificate_lives_half_an_hour_at_most(world: World) -> None:
    certificate = _first(issued(judged(world.issuer(), world.server())))
    assert dt.timedelta(minutes=30) == LIFETIME
    left = certificate.not_valid_after_utc - dt.datetime.now(dt.UTC)
    assert LIFETIME - dt.timedelta(minutes=1) < left <= LIFETIME


def test_a_certificate_never_outlives_its_issuer(world: World) -> None:
    authority = world.authority(world.trust, dt.timedelta(minutes=10))
    certificate = _first(issued(judged(world.issuer(authority), world.server())))
    assert certificate.not_valid_after_utc == authority.certificate.not_valid_after_utc


def test_an_issuer_that_has_ended_signs_nothing(world: World) -> None:
    authority = world.authority(world.trust, dt.timedelta(minutes=10))
    issuer = world.issuer(authority)
    world.clock.now += 601
    found = judged(issuer, world.server())
    assert refused(found).code == "issuer_ended"
    assert found.verdict is not None
    assert found.verdict.status is Status.AFFIRMING


def test_the_collateral_comes_with_the_certificate(world: World) -> None:
    answer = issued(judged(world.issuer(), world.server()))
    assert answer.collateral is not None
    assert Collateral.from_json(answer.collateral) == world.collateral(world.clock.now)


def test_a_server_renews_with_the_same_key_and_a_new_nonce(world: World) -> None:
    issuer, server = world.issuer(), world.server()
    first = issued(judged(issuer, server))
    world.clock.now += 1200
    second = issued(judged(issuer, server))
    assert _first(first).public_key() == _first(second).public_key()
    assert _first(first).serial_number != _first(second).serial_number


# --- names of authorities


def test_the_authoritys_name_says_version_and_digest_of_the_policy(world: World) -> None:
    name = authority_name(world.trust)
    assert name.startswith("standby servers issuer, SIMULATED policy 3 (")
    other = Trust(
        msgspec.structs.replace(POLICY, maximum_evidence_age_seconds=599), world.trust.root
    )
    assert authority_name(other) != name


def test_a_policy_that_trusts_intel_is_not_called_simulated() -> None:
    policy = msgspec.structs.replace(POLICY, root=Root.INTEL)
    assert authority_name(Trust(policy, INTEL)).startswith("standby servers issuer, policy 3 (")


def test_the_name_fits_into_a_certificate_for_versions_that_are_dates(world: World) -> None:
    dated = msgspec.structs.replace(POLICY, version=2026010101)
    trust = Trust(dated, world.trust.root)
    assert len(authority_name(trust).encode()) <= 64
    authority = world.authority(trust)
    (name,) = authority.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert name.value == authority_name(trust)


def test_an_authority_that_may_have_none_below_it_is_refused(world: World) -> None:
    narrow = world.root.intermediate(authority_name(world.trust), DAY, SERVER)
    with pytest.raises(ValueError, match="path length 1"):
        world.issuer(narrow)


# --- nonces


def test_nonces_are_random_and_long(world: World) -> None:
    issuer, instance = world.issuer(), new_boot_id()
    nonces = {issuer.challenge(instance) for _ in range(100)}
    assert len(nonces) == 100
    assert {len(nonce) for nonce in nonces} == {32}


def test_a_nonce_is_good_until_its_minute_is_over(world: World) -> None:
    issuer, server = world.issuer(), world.server()
    nonce = issuer.challenge(server.boot_id)
    world.clock.now += NONCE_LIFETIME
    assert isinstance(issuer.judge(server.boot_id, server.proof(nonce)).answer, Issued)


def test_a_new_challenge_replaces_the_one_before(world: World) -> None:
    issuer, server = world.issuer(), world.server()
    old, new = issuer.challenge(server.boot_id), issuer.challenge(server.boot_id)
    assert refused(issuer.judge(server.boot_id, server.proof(old))).code == "stale_nonce"
    assert refused(issuer.judge(server.boot_id, server.proof(new))).code == "stale_nonce"


def test_a_server_that_has_ended_has_no_nonce(world: World) -> None:
    issuer, server, other = world.issuer(), world.server(), world.server()
    nonce, others = issuer.challenge(server.boot_id), issuer.challenge(other.boot_id)
    issuer.forget(server.boot_id)
    issuer.forget(server.boot_id)
    assert refused(issuer.judge(server.boot_id, server.proof(nonce))).code == "stale_nonce"
    issued(issuer.judge(other.boot_id, other.proof(others)))


def test_nonces_of_servers_that_never_come_back_are_forgotten(world: World) -> None:
    issuer = world.issuer()
    for _ in range(50):
        issuer.challenge(new_boot_id())
    world.clock.now += NONCE_LIFETIME + 1
    issuer.challenge(new_boot_id())
    assert len(issuer._nonces._given) == 1


def test_a_nonce_from_before_the_clock_was_set_back_is_stale(world: World) -> None:
    issuer, server = world.issuer(), world.server()
    nonce = issuer.challenge(server.boot_id)
    world.clock.now -= 10
    assert refused(issuer.judge(server.boot_id, server.proof(nonce))).code == "stale_nonce"


def test_no_nonce_gets_into_logs_answers_or_verdicts(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    issuer, server, thief = world.issuer(), world.server(), world.server()
    nonces = [issuer.challenge(server.boot_id), issuer.challenge(thief.boot_id)]
    found = [
        issuer.judge(thief.boot_id, server.proof(nonces[0])),
        issuer.judge(server.boot_id, server.proof(nonces[0])),
        issuer.judge(server.boot_id, server.proof(nonces[0])),
    ]
    written = (world.directory / LOG_FILE).read_text() + caplog.text + repr(issuer._nonces.__dict__)
    written += "".join(repr(each.verdict) for each in found)
    written += "".join(refused(each).text for each in (found[0], found[2]))
    for nonce in nonces:
        assert nonce.hex() not in written
        assert repr(nonce)[2:-1] not in written


# --- proofs and verdicts


def test_a_server_without_evidence_is_refused(world: World) -> None:
    issuer, server = world.issuer(), world.server()
    proof = msgspec.structs.replace(server.proof(issuer.challenge(server.boot_id)), evidence=None)
    found = issuer.judge(server.boot_id, proof)
    assert refused(found).code == NoEvidenceError.code
    assert found.verdict is not None
    assert found.verdict.claims is None


def _other_keys() -> dict[str, bytes]:
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    point = pki.new_key().public_key()
    compressed = point.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint
    )
    algorithm = bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107")
    body = algorithm + b"\x03\x22\x00" + compressed
    return {
        "nonsense": b"nonsense",
        "p384": ec.generate_private_key(ec.SECP384R1()).public_key().public_bytes(*form),
        "ed25519": ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(*form),
        "compressed": b"\x30" + bytes([len(body)]) + body,
        "something appended": point.public_bytes(*form) + b"\0",
    }


@pytest.mark.parametrize("kind", list(_other_keys()))
def test_a_key_that_certificates_are_not_made_for_is_refused(world: World, kind: str) -> None:
    issuer, server = world.issuer(), world.server()
    proof = server.proof(issuer.challenge(server.boot_id))
    other = msgspec.structs.replace(proof, public_key=_other_keys()[kind])
    assert refused(issuer.judge(server.boot_id, other)).code == "unusable_key"


def test_without_collateral_the_text_says_that_it_is_the_verifiers_fault(world: World) -> None:
    def missing(_now: float) -> Collateral:
        raise CollateralUnavailableError("no collateral: fetch it")

    world.collateral = missing
    found = judged(world.issuer(), world.server())
    assert (refused(found).code, refused(found).text) == (
        "collateral_unavailable",
        "no collateral: fetch it",
    )


def test_every_judgement_is_in_the_audit_log_in_order(world: World) -> None:
    issuer, server = world.issuer(), world.server()
    found = [judged(issuer, server), issuer.judge(server.boot_id, server.proof(bytes(32)))]
    assert world.verdicts() == [each.verdict for each in found]
    assert [each.status for each in world.verdicts()] == [Status.AFFIRMING, Status.CONTRAINDICATED]
    assert {each.instance for each in world.verdicts()} == {server.boot_id}
    result = audit.verify([world.directory / LOG_FILE], SIGNER.public_key())
    assert result.outcome is Outcome.FINE


def test_a_verdict_that_admits_names_the_variant_and_the_age_of_the_evidence(world: World) -> None:
    issuer, server = world.issuer(), world.server()
    asked = world.clock.now
    nonce = issuer.challenge(server.boot_id)
    world.clock.now += 5
    verdict = issuer.judge(server.boot_id, server.proof(nonce)).verdict
    assert verdict is not None
    assert verdict.claims is not None
    assert (verdict.variant, verdict.at, verdict.claims.made_at) == ("smartgrid", asked + 5, asked)


def test_the_policys_maximum_age_counts_from_the_challenge(world: World) -> None:
    impatient = msgspec.structs.replace(POLICY, maximum_evidence_age_seconds=4)
    world.trust = Trust(impatient, world.trust.root)
    issuer, server = world.issuer(), world.server()
    nonce = issuer.challenge(server.boot_id)
    world.clock.now += 5
    found = issuer.judge(server.boot_id, server.proof(nonce))
    assert refused(found).code == "not_admitted"
    assert "evidence_age: expected at most 4 s" in refused(found).text


def test_servers_are_judged_at_the_same_time_and_a_proof_is_good_in_one_thread_only(
    world: World,
) -> None:
    issuer, servers = world.issuer(), [world.server() for _ in range(4)]
    proofs = [each.proof(issuer.challenge(each.boot_id)) for each in servers]
    together = threading.Barrier(12, timeout=30)

    def judge(number: int) -> tuple[BootId, bool]:
        together.wait()
        server = servers[number % 4]
        answer = issuer.judge(server.boot_id, proofs[number % 4]).answer
        return server.boot_id, isinstance(answer, Issued)

    with ThreadPoolExecutor(12) as threads:
        outcomes = list(threads.map(judge, range(12)))
    assert sorted(boot_id for boot_id, certified in outcomes if certified) == sorted(
        each.boot_id for each in servers
    )
    assert len(world.verdicts()) == 12


# --- without attestation


def _unattested(world: World) -> Unattested:
    return Unattested(world.authority(None), world.clock)


def test_where_attestation_is_off_a_server_gets_a_certificate_without_evidence(
    world: World,
) -> None:
    issuer, server = _unattested(world), world.server()
    proof = msgspec.structs.replace(server.proof(issuer.challenge(server.boot_id)), evidence=None)
    found = issuer.judge(server.boot_id, proof)
    answer = issued(found)
    assert (found.verdict, answer.collateral) == (None, None)
    with pytest.raises(NoEvidenceError):
        extension.of_certificate(answer.chain[0])
    assert _first(answer).public_key() == server.key.public_key()


def test_the_exchange_is_the_same_where_attestation_is_off(world: World) -> None:
    issuer, server = _unattested(world), world.server()
    proof = server.proof(issuer.challenge(server.boot_id))
    issued(issuer.judge(server.boot_id, proof))
    assert refused(issuer.judge(server.boot_id, proof)).code == "stale_nonce"
    issuer.challenge(server.boot_id)
    issuer.forget(server.boot_id)
    assert refused(issuer.judge(server.boot_id, proof)).code == "stale_nonce"
    issuer.challenge(server.boot_id)
    unfit = msgspec.structs.replace(proof, public_key=b"nonsense")
    assert refused(issuer.judge(server.boot_id, unfit)).code == "unusable_key"


def test_a_policys_authority_does_not_sign_for_servers_that_prove_nothing(world: World) -> None:
    with pytest.raises(ValueError, match="not attested"):
        Unattested(world.authority(world.trust), Clock(0.0))
    with pytest.raises(ValueError, match="SIMULATED policy 3"):
        world.issuer(world.authority(None))
