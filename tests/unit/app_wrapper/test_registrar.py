"""What a server is answered over its channel, and what its wrapper learns."""

from pathlib import Path
from typing import Final

import pytest
from msgspec import structs

from app_wrapper.attesting.attended import Attended
from app_wrapper.attesting.logins import MOST_PROOFS
from app_wrapper.attesting.registrar import SOONEST_RENEWAL, Registrar
from app_wrapper.attesting.users import Users
from app_wrapper.events import Attested, DataClosed, DataOpened, NotAttested, Said
from app_wrapper.process import Process, Standby
from attestation.errors import CollateralExpiredError, EvidenceUnavailableError
from attestation.evidence import DCAP_V3, Evidence
from attestation.issuing.freshness import FreshnessStore
from attestation.issuing.issuer import Judged
from attestation.issuing.messages import (
    Answer,
    Begin,
    Challenge,
    Issued,
    Kept,
    LastSeen,
    Left,
    LoginProof,
    Opened,
    Proof,
    Quoted,
    QuoteWanted,
    Record,
    Refused,
    Request,
    Seen,
    Source,
)
from standby import deadlines
from standby.hardening import Layer, Outcome
from standby.ids import BootId, Generation, Slot, Uid
from standby.lines import Volume
from standby.seal import PLAIN
from standby.states import State
from tests.support.certificates import Certificates

BOOT: Final = BootId("1" * 16)
ANNA: Final = Uid("anna")
TAG: Final = bytes(range(32))
PROOF: Final = Proof(public_key=b"key", claims=b"claims", evidence=None)


class FakeIssuer:
    """Answers as it was told to."""

    def __init__(self) -> None:
        self.answer: Issued | Refused = Issued(chain=(b"certificate",), collateral=None)
        self.forgotten: list[BootId] = []

    def challenge(self, _instance: BootId) -> bytes:
        return b"n" * 32

    def judge(self, _instance: BootId, _proof: Proof) -> Judged:
        return Judged(self.answer, None)

    def forget(self, instance: BootId) -> None:
        self.forgotten.append(instance)


class FakeAttester:
    def __init__(self, measurement: str) -> None:
        self.measurement = measurement

    def evidence(self, report_data: bytes) -> Evidence:
        return Evidence(DCAP_V3, self.measurement.encode() + report_data)


class Scene:
    """A registrar, one server of anna's, and what its wrapper was told."""

    def __init__(self, directory: Path, users: Users, source: Source = Source.PLATFORM) -> None:
        self.issuer = FakeIssuer()
        self.now = 0.0
        self.measured = 0
        self.process: Process | None = Process(
            slot=Slot(0),
            boot_id=BOOT,
            purpose=Standby(),
            launched_at=0.0,
            state=State.ACTIVE,
            since=0.0,
            uid=ANNA,
            volume=Volume("/volumes/anna", Generation(7)),
        )
        self.registrar = Registrar(
            self.issuer,
            source,
            FakeAttester,
            FreshnessStore(directory, PLAIN),
            users,
            lambda _boot: self.process,
            lambda: self.now,
        )
        self.server = Attended(BOOT, self._measure)
        self.told: list[Said] = []

    def _measure(self) -> str:
        self.measured += 1
        return "3a"

    def ask(self, request: Request) -> Answer:
        return self.registrar.answer(self.server, request, self.told.append)


@pytest.fixture
def scene(tmp_path: Path, certificates: Certificates) -> Scene:
    return Scene(tmp_path, Users(certificates.users_ca))


def test_a_server_that_is_certified_counts_as_attested_with_its_layers(scene: Scene) -> None:
    assert scene.ask(Begin({Layer.SECCOMP: Outcome.APPLIED})) == Challenge(
        b"n" * 32, Source.PLATFORM
    )
    assert scene.ask(PROOF) == scene.issuer.answer
    assert scene.told == [Attested("off", {Layer.SECCOMP: Outcome.APPLIED})]


def test_a_refusal_is_told_with_its_code(scene: Scene) -> None:
    scene.issuer.answer = Refused("not_admitted", "mrenclave: expected 3a, found 5b")
    assert scene.ask(PROOF) == scene.issuer.answer
    assert scene.told == [NotAttested("not_admitted", scene.issuer.answer.text, lasting=True)]


def test_a_refusal_for_the_verifiers_own_supply_passes(scene: Scene) -> None:
    scene.issuer.answer = Refused(CollateralExpiredError.code, "renew it")
    scene.ask(PROOF)
    assert scene.told == [NotAttested("collateral_expired", "renew it", lasting=False)]


def test_a_server_is_measured_once_however_many_quotes_it_asks_for(scene: Scene) -> None:
    data = bytes(64)
    quoted = scene.ask(QuoteWanted(data))
    assert quoted == Quoted(Evidence(DCAP_V3, b"3a" + data))
    assert scene.ask(QuoteWanted(data)) == quoted
    assert scene.measured == 1


def test_a_server_that_cannot_be_measured_is_not_attested(scene: Scene) -> None:
    def changed() -> str:
        raise EvidenceUnavailableError("a file changed")

    scene.server.measure = changed
    answer = scene.ask(QuoteWanted(bytes(64)))
    assert isinstance(answer, Refused)
    assert answer.code == "evidence_unavailable"
    (told,) = scene.told
    assert isinstance(told, NotAttested)


def test_a_server_that_cannot_be_measured_is_measured_again_after_a_while_only(
    scene: Scene,
) -> None:
    """It takes time, and the wrapper's log has a line of each try."""

    def changed() -> str:
        scene.measured += 1
        raise EvidenceUnavailableError("a file changed")

    scene.server.measure = changed
    for _ in range(5):
        scene.ask(QuoteWanted(bytes(64)))
    assert (scene.measured, len(scene.told)) == (1, 1)
    scene.now = SOONEST_RENEWAL
    scene.ask(QuoteWanted(bytes(64)))
    assert (scene.measured, len(scene.told)) == (2, 2)


def test_proofs_of_login_without_end_are_told_as_often_as_they_are_looked_at(scene: Scene) -> None:
    for _ in range(10 * MOST_PROOFS):
        answer = scene.ask(LoginProof(b"certificate", b"signature"))
        assert isinstance(answer, Refused)
    assert len(scene.told) == MOST_PROOFS + 1  # the last one says that no more are


@pytest.mark.parametrize("source", [Source.NOBODY, Source.GRAMINE])
def test_without_a_platform_there_are_no_quotes(
    tmp_path: Path, certificates: Certificates, source: Source
) -> None:
    answer = Scene(tmp_path, Users(certificates.users_ca), source).ask(QuoteWanted(bytes(64)))
    assert isinstance(answer, Refused)


def test_a_process_is_certified_for_one_key_only(scene: Scene) -> None:
    scene.ask(PROOF)
    scene.now = SOONEST_RENEWAL
    other = structs.replace(PROOF, public_key=b"the key of another process")
    answer = scene.ask(other)
    assert isinstance(answer, Refused)
    assert answer.code == "other_server_key"
    assert scene.server.public_key == PROOF.public_key


def test_certificates_are_not_given_out_without_end(scene: Scene) -> None:
    assert isinstance(scene.ask(PROOF), Issued)
    scene.now = SOONEST_RENEWAL - 1
    again = scene.ask(PROOF)
    assert isinstance(again, Refused)
    assert again.code == "too_often"
    assert len(scene.told) == 1
    scene.now = SOONEST_RENEWAL + 1
    assert isinstance(scene.ask(PROOF), Issued)


def test_refused_proofs_do_not_fill_the_audit_log_either(scene: Scene) -> None:
    scene.issuer.answer = Refused("not_admitted", "mrenclave")
    scene.ask(PROOF)
    again = scene.ask(PROOF)
    assert isinstance(again, Refused)
    assert again.code == "too_often"


def test_a_renewal_that_failed_can_be_tried_again_in_time() -> None:
    assert SOONEST_RENEWAL < deadlines.ATTEST_RETRY


def test_what_became_of_a_users_database_is_kept(scene: Scene) -> None:
    assert scene.ask(LastSeen(ANNA)) == Seen(None)
    assert scene.ask(Opened(ANNA, Generation(7))) == Kept()
    assert scene.ask(LastSeen(ANNA)) == Seen(Record(Generation(7), None))
    assert scene.ask(Left(ANNA, Generation(7), TAG)) == Kept()
    assert scene.ask(LastSeen(ANNA)) == Seen(Record(Generation(7), TAG))
    assert scene.told == [DataOpened(), DataClosed()]


def test_what_a_server_says_again_and_again_is_written_once(scene: Scene, tmp_path: Path) -> None:
    opened = Opened(ANNA, Generation(7))
    scene.ask(opened)
    (file,) = tmp_path.glob("*.freshness")
    written = file.stat()
    assert scene.ask(opened) == Kept()
    assert file.stat().st_ino == written.st_ino
    scene.ask(Left(ANNA, Generation(7), TAG))
    scene.ask(opened)
    assert scene.ask(LastSeen(ANNA)) == Seen(Record(Generation(7), None))
    assert scene.told == [DataOpened(), DataClosed(), DataOpened()]


@pytest.mark.parametrize(
    "request_of_another",
    [
        LastSeen(Uid("bert")),
        Opened(Uid("bert"), Generation(7)),
        Left(Uid("bert"), Generation(7), TAG),
        Opened(ANNA, Generation(8)),
        Left(ANNA, Generation(6), TAG),
    ],
    ids=str,
)
def test_a_server_tells_of_its_own_users_database_only(
    scene: Scene, request_of_another: Request
) -> None:
    answer = scene.ask(request_of_another)
    assert isinstance(answer, Refused)
    assert answer.code == "other_user"
    assert scene.told == []


def test_a_server_without_a_user_tells_of_nobodys_database(scene: Scene) -> None:
    scene.process = None
    answer = scene.ask(LastSeen(ANNA))
    assert isinstance(answer, Refused)
    assert answer.code == "other_user"


def test_what_was_given_to_a_server_that_is_gone_is_forgotten(scene: Scene) -> None:
    scene.registrar.gone(BOOT)
    assert scene.issuer.forgotten == [BOOT]
