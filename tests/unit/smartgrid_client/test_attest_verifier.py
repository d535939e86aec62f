"""What a verifier makes of answers, without any connection."""

import datetime as dt
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from attestation import trust
from attestation.errors import BadEvidenceError
from attestation.soft.platform import SoftPlatform
from smartgrid_client import errors
from smartgrid_client.report import refusal_lines
from smartgrid_client.verified import _peer
from smartgrid_client.verifier import Challenge, Verifier, attested_key
from standby import pki
from standby.identity import Identity, Role
from standby.ids import Uid
from standby.messages import ErrorDetail
from tests.support.attested_stub import SMARTGRID, Prover

NOW = dt.datetime.now(dt.UTC).timestamp()
NONCE = bytes(range(32))


@pytest.fixture(scope="module")
def prover() -> Prover:
    return Prover.create(NOW)


@pytest.fixture
def verifier(prover: Prover, tmp_path: Path) -> Verifier:
    return Verifier(trust.load(prover.trusted_in(tmp_path)))


@pytest.fixture(scope="module")
def certificate(prover: Prover) -> bytes:
    return prover.certificate(pki.Authority.create("test", dt.timedelta(hours=1)), "alice")


def test_challenges_are_long_and_never_the_same(verifier: Verifier) -> None:
    made = [verifier.challenge(NOW) for _ in range(100)]
    assert {len(each.nonce) for each in made} == {32}
    assert len({each.nonce for each in made}) == 100


def test_what_fits_together_is_admitted(
    verifier: Verifier, prover: Prover, certificate: bytes
) -> None:
    admitted = verifier.judge(Challenge(NONCE, NOW), prover.reply(NONCE), certificate, NOW + 0.1)
    assert admitted.measurement == SMARTGRID.mrenclave.hex()
    assert verifier.simulated


@pytest.mark.parametrize(("age", "admitted"), [(600, True), (601, False)])
def test_evidence_is_as_old_as_its_challenge(
    verifier: Verifier, prover: Prover, certificate: bytes, age: float, *, admitted: bool
) -> None:
    challenge = Challenge(NONCE, NOW - age)
    if admitted:
        assert verifier.judge(challenge, prover.reply(NONCE), certificate, NOW).admitted
        return
    with pytest.raises(errors.NotAttestedError) as caught:
        verifier.judge(challenge, prover.reply(NONCE), certificate, NOW)
    assert [each.what for each in caught.value.report.reasons] == ["evidence_age"]


def test_the_clock_of_the_client_decides_about_collateral(
    verifier: Verifier, prover: Prover, certificate: bytes
) -> None:
    later = NOW + 31 * 86_400
    with pytest.raises(errors.NotAttestedError) as caught:
        verifier.judge(Challenge(NONCE, later), prover.reply(NONCE), certificate, later)
    assert caught.value.reason == "collateral_expired"


def test_what_is_no_certificate_has_no_key(prover: Prover, certificate: bytes) -> None:
    assert attested_key(certificate) == prover.public_key
    for wrong in (b"", b"\x30\x80", certificate[:-1]):
        with pytest.raises(BadEvidenceError):
            attested_key(wrong)


def test_a_report_for_people_has_a_line_for_each_difference(
    verifier: Verifier, prover: Prover, certificate: bytes
) -> None:
    with pytest.raises(errors.NotAttestedError) as caught:
        verifier.judge(Challenge(NONCE, NOW - 700), prover.reply(NONCE), certificate, NOW)
    first, second, last = refusal_lines(caught.value.report)
    assert first.startswith("the server was refused (not_admitted): ")
    assert second == "  evidence_age: expected at most 600 s, not from the future, found 700 s"
    assert caught.value.report.policy.digest in last


def test_who_meets_another_program_is_told_where_a_new_policy_comes_from(
    prover: Prover, certificate: bytes, tmp_path: Path
) -> None:
    file = prover.trusted_in(tmp_path)
    file.write_text(file.read_text().replace(SMARTGRID.mrenclave.hex(), "e" * 64))
    with pytest.raises(errors.NotAttestedError) as caught:
        _judged(Verifier(trust.load(file)), prover, certificate)
    assert "get the new policy.toml" in refusal_lines(caught.value.report)[-1]


def test_of_another_root_the_user_reads_no_words_of_a_library(
    certificate: bytes, prover: Prover, tmp_path: Path
) -> None:
    file = prover.trusted_in(tmp_path)
    SoftPlatform.create().save(tmp_path)
    with pytest.raises(errors.NotAttestedError) as caught:
        _judged(Verifier(trust.load(file)), prover, certificate)
    assert caught.value.reason == "untrusted_root"
    assert caught.value.report.text.endswith("it is another platform's, or simulated")


def _judged(verifier: Verifier, prover: Prover, certificate: bytes) -> None:
    verifier.judge(Challenge(NONCE, NOW), prover.reply(NONCE), certificate, NOW + 0.1)


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (errors.UnansweredError("lost"), errors.NotVerifiedError, "unanswered"),
        (
            errors.refusal(503, ErrorDetail(code="evidence_unavailable", message="no", id="1")),
            errors.NotVerifiedError,
            "evidence_unavailable",
        ),
        (
            errors.refusal(404, ErrorDetail(code="not_found", message="no", id="1")),
            errors.NotAttestedError,
            "no_evidence",
        ),
        (
            errors.refusal(401, ErrorDetail(code="unknown_token", message="no", id="1")),
            errors.NotAttestedError,
            "no_evidence",
        ),
        (
            errors.refusal(403, ErrorDetail(code="wrong_user", message="no", id="1")),
            errors.NotAllowedError,
            "wrong_user",
        ),
        (errors.UnexpectedAnswerError("what"), errors.NotAttestedError, "bad_evidence"),
        (errors.BusyError("busy"), errors.BusyError, "platform_busy"),
        (errors.ServerNotTrustedError("no"), errors.ServerNotTrustedError, "server_not_trusted"),
    ],
)
def test_no_evidence_is_retried_where_another_try_can_help_and_was_never_maybe_done(
    verifier: Verifier,
    certificate: bytes,
    error: errors.ClientError,
    kind: type[errors.ClientError],
    reason: str,
) -> None:
    made = verifier.unproven(error, certificate)
    assert type(made) is kind
    assert (made.reason, made.maybe_done) == (reason, False)
    assert made.retry is not isinstance(made, errors.ENDING)


class _Tls:
    """What asyncio gives for `ssl_object`, after a handshake of the wrong kind."""

    def __init__(self, certificate: bytes | None, *, session_reused: bool) -> None:
        self.session_reused = session_reused
        self._certificate = certificate

    def getpeercert(self, *, binary_form: bool) -> bytes | None:
        assert binary_form
        return self._certificate

    def get_extra_info(self, name: str) -> "_Tls":
        assert name == "ssl_object"
        return self


@pytest.mark.parametrize("tls", [_Tls(b"x", session_reused=True), _Tls(None, session_reused=False)])
def test_a_connection_whose_handshake_showed_no_certificate_has_no_peer(tls: _Tls) -> None:
    with pytest.raises(errors.ServerNotTrustedError, match="no certificate"):
        _peer(tls)  # type: ignore[arg-type]  # has what is asked of a transport


def test_a_server_whose_certificate_carries_no_evidence_is_not_asked_again(
    verifier: Verifier,
) -> None:
    authority = pki.Authority.create("servers", dt.timedelta(hours=1))
    leaf = authority.issue(
        pki.new_key().public_key(),
        Identity(Role.SERVER, Uid("alice")),
        pki.Usage(server=True),
        dt.timedelta(hours=1),
    )
    later = ErrorDetail(code="evidence_unavailable", message="later", id="1")
    made = verifier.unproven(errors.refusal(503, later), leaf.public_bytes(Encoding.DER))
    assert isinstance(made, errors.NotAttestedError)
    assert (made.reason, made.retry) == ("no_evidence", False)
