"""Whoever is not what the policy asks for gets no certificate, and the reason is the right one.

A real simulated platform, real quotes and collateral, and the library that verifies those of SGX machines. Each attack
differs in one thing from the honest exchange, which is shown to succeed with everything else as it is. Chains are
verified by OpenSSL in a TLS handshake, as clients do, and by `cryptography`.
"""

import contextlib
import datetime as dt
import resource
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509 import verification

from attestation import binding, extension
from attestation.audit import LOG_FILE
from attestation.binding import Binding
from attestation.claims import Root, TcbStatus
from attestation.issuing.issuer import Issuer, authority_name
from attestation.issuing.messages import Issued, Proof
from attestation.issuing.nonces import NONCE_LIFETIME
from attestation.policy import Policy, Refusal
from attestation.quote import EnclaveIdentity
from attestation.soft.attester import SoftAttester
from attestation.soft.collateral import LIFETIME, Standing
from attestation.soft.platform import SoftPlatform
from attestation.trust import Trust
from attestation.verdicts import Status
from attestation.verify import INTEL
from standby import pki
from standby.identity import Identity, Role
from standby.ids import Uid
from tests.unit.attestation.issuing.world import (
    DAY,
    POLICY,
    SERVER,
    Server,
    World,
    issued,
    judged,
    made,
    refused,
    spki,
    supply,
)
from tests.unit.attestation.simulated import PROCESS

UID: Final = Uid("alice")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with made(tmp_path / "audit") as world:
        yield world


def _refused(world: World, issuer: Issuer, server: Server, proof: Proof | None = None) -> str:
    """The code; the verdict has the same reason and is in the audit log, and no certificate is."""
    proof = proof or server.proof(issuer.challenge(server.boot_id))
    found = issuer.judge(server.boot_id, proof)
    answer, verdict = refused(found), world.verdicts()[-1]
    assert verdict == found.verdict
    assert (verdict.status, verdict.instance) == (Status.CONTRAINDICATED, server.boot_id)
    if verdict.reasons[0].refusal is Refusal.EVIDENCE:
        assert verdict.reasons[0].found.startswith(f"{answer.code}: ")
    else:
        assert answer.code == "not_admitted"
    return answer.code


# --- evidence that is about something else


def test_evidence_about_another_key(world: World) -> None:
    """Copied from the certificate of an honest server, with the attacker's own key beside it."""
    issuer, server = world.issuer(), world.server()
    honest = server.proof(issuer.challenge(server.boot_id))
    stolen = msgspec.structs.replace(honest, public_key=spki(pki.new_key()))
    assert _refused(world, issuer, server, stolen) == "other_key"
    issued(judged(issuer, server))


def test_claims_about_another_key_beside_true_evidence(world: World) -> None:
    issuer, server = world.issuer(), world.server()
    nonce, key = issuer.challenge(server.boot_id), spki(pki.new_key())
    claims = Binding.of_key(key, nonce=nonce, instance=server.boot_id).claims()
    forged = msgspec.structs.replace(server.proof(nonce), public_key=key, claims=claims)
    assert _refused(world, issuer, server, forged) == "claims_mismatch"


def test_a_nonce_that_is_too_old(world: World) -> None:
    issuer, server = world.issuer(), world.server()
    proof = server.proof(issuer.challenge(server.boot_id))
    world.clock.now += NONCE_LIFETIME + 1
    assert _refused(world, issuer, server, proof) == "stale_nonce"
    issued(judged(issuer, server))


def test_a_nonce_that_was_never_given_out(world: World) -> None:
    issuer, server = world.issuer(), world.server()
    issuer.challenge(server.boot_id)
    assert _refused(world, issuer, server, server.proof(bytes(32))) == "stale_nonce"


def test_evidence_without_a_nonce(world: World) -> None:
    issuer, server = world.issuer(), world.server()
    issuer.challenge(server.boot_id)
    claims = Binding.of_key(spki(server.key), instance=server.boot_id).claims()
    evidence = server.attester.evidence(binding.report_data(claims))
    timeless = Proof(spki(server.key), claims, evidence)
    assert _refused(world, issuer, server, timeless) == "stale_nonce"


@pytest.mark.parametrize("asked_again", [False, True])
def test_a_nonce_that_is_used_twice(world: World, *, asked_again: bool) -> None:
    issuer, server = world.issuer(), world.server()
    proof = server.proof(issuer.challenge(server.boot_id))
    issued(issuer.judge(server.boot_id, proof))
    if asked_again:
        issuer.challenge(server.boot_id)
    assert _refused(world, issuer, server, proof) == "stale_nonce"


def test_a_nonce_after_a_proof_that_was_refused(world: World) -> None:
    issuer, server = world.issuer(), world.server()
    proof = server.proof(issuer.challenge(server.boot_id))
    damaged = msgspec.structs.replace(proof, public_key=spki(pki.new_key()))
    assert _refused(world, issuer, server, damaged) == "other_key"
    assert _refused(world, issuer, server, proof) == "stale_nonce"


@pytest.mark.parametrize("has_its_own", [False, True])
def test_a_nonce_of_another_server(world: World, *, has_its_own: bool) -> None:
    issuer, thief, other = world.issuer(), world.server(), world.server()
    nonce = issuer.challenge(other.boot_id)
    if has_its_own:
        issuer.challenge(thief.boot_id)
    assert _refused(world, issuer, thief, thief.proof(nonce)) == "stale_nonce"
    issued(issuer.judge(other.boot_id, other.proof(nonce)))


def test_evidence_that_an_honest_server_gave_for_the_relays_nonce(world: World) -> None:
    """Key, nonce and measurement are right; the claims say which process it was."""
    issuer, relay, honest = world.issuer(), world.server(), world.server()
    proof = honest.proof(issuer.challenge(relay.boot_id))
    assert _refused(world, issuer, relay, proof) == "other_instance"


def test_an_honest_servers_whole_proof_relayed(world: World) -> None:
    issuer, relay, honest = world.issuer(), world.server(), world.server()
    issuer.challenge(relay.boot_id)
    proof = honest.proof(issuer.challenge(honest.boot_id))
    assert _refused(world, issuer, relay, proof) == "stale_nonce"
    issued(issuer.judge(honest.boot_id, proof))


# --- processes and platforms that are not what the policy asks for


def test_a_program_that_the_policy_does_not_name(world: World) -> None:
    stranger = world.server(replaced(PROCESS, mrenclave=b"\x66" * 32))
    assert _refused(world, world.issuer(), stranger) == "not_admitted"
    reasons = world.verdicts()[-1].reasons
    assert [each.refusal for each in reasons] == [Refusal.MRENCLAVE]


def test_a_platform_under_another_root(world: World) -> None:
    """Whoever runs a machine can make a platform of his own; it is not the pinned one."""
    issuer, own = world.issuer(), SoftPlatform.create()
    server = Server(SoftAttester(own, PROCESS))
    assert _refused(world, issuer, server) == "untrusted_root"
    world.collateral = supply(own)
    assert _refused(world, world.issuer(), server) == "untrusted_root"


def test_an_attestation_key_that_the_platform_does_not_know(world: World) -> None:
    thief = replace(world.platform, attestation_key=pki.new_key())
    issuer, server = world.issuer(), world.server()
    nonce = issuer.challenge(server.boot_id)
    vouched, own = (server.proof(nonce), replace(server, attester=SoftAttester(thief, PROCESS)))
    assert vouched.evidence is not None
    forged = own.proof(nonce)
    assert forged.evidence is not None
    mixed = forged.evidence.data[:564] + vouched.evidence.data[564:]
    proof = msgspec.structs.replace(
        forged, evidence=msgspec.structs.replace(forged.evidence, data=mixed)
    )
    assert _refused(world, issuer, server, proof) == "bad_evidence"


def test_a_debug_enclave(world: World) -> None:
    debug = world.server(replaced(PROCESS, debug=True))
    assert _refused(world, world.issuer(), debug) == "debug_enclave"


def test_a_debug_enclave_even_where_the_policy_would_admit_it(world: World) -> None:
    careless = msgspec.structs.replace(POLICY, admit_debug=True)
    world.trust = Trust(careless, world.trust.root)
    debug = world.server(replaced(PROCESS, debug=True))
    assert _refused(world, world.issuer(), debug) == "debug_enclave"


def test_a_machine_whose_certificate_was_revoked(world: World) -> None:
    issued(judged(world.issuer(), world.server()))
    world.with_standing(Standing(pck_revoked=True))
    assert _refused(world, world.issuer(), world.server()) == "revoked"


def test_collateral_that_has_run_out(world: World) -> None:
    """An old copy says that the machine is up to date; it is refused because it is old."""
    old = world.collateral(world.clock.now)
    world.collateral = lambda _now: old
    issuer = world.issuer()
    issued(judged(issuer, world.server()))
    world.clock.now += LIFETIME.total_seconds() + 1
    assert _refused(world, issuer, world.server()) == "collateral_expired"


@pytest.mark.parametrize(
    ("standing", "refusal"),
    [
        (Standing(tcb_status=TcbStatus.OUT_OF_DATE), Refusal.TCB_STATUS),
        (Standing(quoting_enclave=TcbStatus.OUT_OF_DATE), Refusal.TCB_STATUS),
        (Standing(advisories=("INTEL-SA-00233",)), Refusal.ADVISORY_NOT_IGNORED),
    ],
)
def test_a_platform_that_is_out_of_date(world: World, standing: Standing, refusal: Refusal) -> None:
    world.with_standing(standing)
    assert _refused(world, world.issuer(), world.server()) == "not_admitted"
    assert [each.refusal for each in world.verdicts()[-1].reasons] == [refusal]


def test_a_policy_for_real_machines_refuses_a_simulated_one(world: World) -> None:
    strict = msgspec.structs.replace(POLICY, root=Root.INTEL, testing=False)
    world.trust = Trust(strict, INTEL)
    assert _refused(world, world.issuer(), world.server()) == "untrusted_root"
    assert "SIMULATED" not in authority_name(world.trust)


def replaced(
    process: EnclaveIdentity, *, mrenclave: bytes | None = None, debug: bool = False
) -> EnclaveIdentity:
    return msgspec.structs.replace(process, mrenclave=mrenclave or process.mrenclave, debug=debug)


# --- the log, and who may sign under which policy


@contextlib.contextmanager
def _full_disk(world: World) -> Iterator[None]:
    """A limit of the process stands for the disk; the kernel stops in the middle of the line in either case."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = (world.directory / LOG_FILE).stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_no_certificate_while_the_audit_log_cannot_be_written(world: World) -> None:
    issuer, server = world.issuer(), world.server()
    issued(judged(issuer, server))
    proof = server.proof(issuer.challenge(server.boot_id))
    with _full_disk(world):
        found = issuer.judge(server.boot_id, proof)
        stranger = judged(issuer, world.server(replaced(PROCESS, debug=True)))
    assert refused(found).code == refused(stranger).code == "audit_log_unusable"
    assert refused(issuer.judge(server.boot_id, proof)).code == "stale_nonce"
    issued(judged(issuer, server))
    assert [each.status for each in world.verdicts()] == [
        Status.AFFIRMING,
        Status.CONTRAINDICATED,
        Status.AFFIRMING,
    ]


def test_no_certificate_after_the_audit_log_was_closed(world: World) -> None:
    issuer = world.issuer()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.audit, "_descriptor", -1)
        assert refused(judged(issuer, world.server())).code == "audit_log_unusable"
    issued(judged(issuer, world.server()))


@pytest.mark.parametrize(
    "other",
    [
        msgspec.structs.replace(POLICY, version=4),
        msgspec.structs.replace(POLICY, maximum_evidence_age_seconds=601),
        msgspec.structs.replace(POLICY, root=Root.INTEL),
    ],
)
def test_an_authority_made_for_another_policy(world: World, other: Policy) -> None:
    root = INTEL if other.root is Root.INTEL else world.trust.root
    old = world.authority(Trust(other, root))
    with pytest.raises(ValueError, match="for this policy it has to be"):
        world.issuer(old)
    with pytest.raises(ValueError, match="not attested"):
        world.issuer(world.authority(None))
    issued(judged(world.issuer(), world.server()))


# --- chains


def _as_authority(key: pki.PrivateKey, answer: Issued) -> pki.Authority:
    """What a server has in the end, with nothing in hand but its key and the answer."""
    return pki.Authority(key, [x509.load_der_x509_certificate(each) for each in answer.chain])


def _leaf(authority: pki.Authority, key: pki.PrivateKey, uid: str = UID) -> x509.Certificate:
    carried = extension.of_certificate(
        authority.certificate.public_bytes(serialization.Encoding.DER)
    )
    evidence = extension.made(carried.evidence, carried.claims)
    identity = Identity(Role.SERVER, Uid(uid))
    lifetime = dt.timedelta(minutes=30)
    return authority.issue(key.public_key(), identity, SERVER, lifetime, [uid], [evidence])


def _handshake(
    directory: Path,
    root: pki.Authority,
    key: pki.PrivateKey,
    chain: list[x509.Certificate],
    uid: str = UID,
) -> bytes:
    """The leaf that a client got, in DER; both ends are OpenSSL's, and nothing goes over a network.

    Raises:
        SSLCertVerificationError: the client does not believe it.
    """
    file = directory / "server.pem"
    file.write_bytes(pki.key_pem(key) + b"".join(map(pki.certificate_pem, chain)))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    client = ssl.create_default_context(cadata=pki.certificate_pem(root.certificate).decode())
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(to_client, to_server, server_hostname=uid),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    for _ in range(5):
        for end in ends:
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
    found = ends[0].getpeercert(binary_form=True)
    assert found is not None
    return found


def _verified(root: pki.Authority, chain: list[x509.Certificate], uid: str = UID) -> int:
    """How long the chain is that `cryptography` builds for this server's name."""
    store = verification.Store([root.certificate])
    verifier = verification.PolicyBuilder().store(store)
    leaf, *others = chain
    return len(verifier.build_server_verifier(x509.DNSName(uid)).verify(leaf, others))


def test_a_client_believes_what_an_admitted_server_signs_for_its_user(
    world: World, tmp_path: Path
) -> None:
    """From the root through the issuer (path length 1) and the server's authority (0) to a leaf of the same key."""
    server = world.server()
    authority = _as_authority(server.key, issued(judged(world.issuer(), server)))
    chain = [_leaf(authority, server.key), *authority.chain]
    assert _verified(world.root, chain) == 4
    shown = extension.of_certificate(_handshake(tmp_path, world.root, server.key, chain))
    claims = binding.parse(shown.claims)
    assert shown.public_key == spki(server.key)
    assert claims.is_of(shown.public_key)
    assert claims.instance == server.boot_id


def test_a_user_who_is_called_like_the_process_is_served_too(world: World, tmp_path: Path) -> None:
    """Certificates of authority and leaf have one key and must not have one name."""
    server = world.server()
    authority = _as_authority(server.key, issued(judged(world.issuer(), server)))
    chain = [_leaf(authority, server.key, server.boot_id), *authority.chain]
    assert _verified(world.root, chain, server.boot_id) == 4
    _handshake(tmp_path, world.root, server.key, chain, server.boot_id)


def test_a_servers_authority_makes_no_further_authority(world: World, tmp_path: Path) -> None:
    server, key = world.server(), pki.new_key()
    authority = _as_authority(server.key, issued(judged(world.issuer(), server)))
    further = authority.intermediate("further", DAY, SERVER)
    identity = Identity(Role.SERVER, UID)
    leaf = further.issue(key.public_key(), identity, SERVER, DAY, hosts=[UID])
    chain = [leaf, *further.chain]
    with pytest.raises(ssl.SSLCertVerificationError, match="path length constraint exceeded"):
        _handshake(tmp_path, world.root, key, chain)
    with pytest.raises(verification.VerificationError):
        _verified(world.root, chain)


def test_a_servers_authority_makes_no_certificate_for_clients(world: World) -> None:
    server, key = world.server(), pki.new_key()
    authority = _as_authority(server.key, issued(judged(world.issuer(), server)))
    usage = pki.Usage(client=True)
    leaf = authority.issue(key.public_key(), Identity(Role.CUSTOMER, UID), usage, DAY)
    builder = verification.PolicyBuilder().store(verification.Store([world.root.certificate]))
    with pytest.raises(verification.VerificationError, match="EKU"):
        builder.build_client_verifier().verify(leaf, list(authority.chain))


def test_a_certificate_of_another_platforms_root(world: World, tmp_path: Path) -> None:
    server = world.server()
    authority = _as_authority(server.key, issued(judged(world.issuer(), server)))
    chain = [_leaf(authority, server.key), *authority.chain]
    other = pki.Authority.create("test servers", DAY)
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        _handshake(tmp_path, other, server.key, chain)
