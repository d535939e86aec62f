"""Gramine's pseudo-files, played by ordinary ones. Not tried under Gramine itself."""

from pathlib import Path

import pytest

from attestation.errors import EvidenceUnavailableError
from attestation.evidence import Attester
from attestation.gramine import GramineAttester
from attestation.verify import verify
from tests.unit.attestation.simulated import NOW, REPORT_DATA, Scene, scene


@pytest.fixture
def made() -> Scene:
    return scene()


@pytest.fixture
def directory(tmp_path: Path, made: Scene) -> Path:
    """As on a machine whose quoting enclave answers with the scene's quote."""
    (tmp_path / "attestation_type").write_bytes(b"dcap")
    (tmp_path / "user_report_data").write_bytes(bytes(64))
    (tmp_path / "quote").write_bytes(made.evidence.data)
    return tmp_path


def test_evidence_is_the_quote_for_the_report_data_that_was_written(
    directory: Path, made: Scene
) -> None:
    attester: Attester = GramineAttester(directory)
    evidence = attester.evidence(REPORT_DATA)
    assert (directory / "user_report_data").read_bytes() == REPORT_DATA
    assert evidence == made.evidence
    claims = verify(evidence, made.collateral, made.root, NOW.timestamp())
    assert claims.report_data == REPORT_DATA


def test_room_that_the_quoting_service_did_not_fill_is_cut(directory: Path, made: Scene) -> None:
    (directory / "quote").write_bytes(made.evidence.data + bytes(500))
    assert GramineAttester(directory).evidence(REPORT_DATA) == made.evidence


def test_a_quote_about_other_report_data_is_not_given_out(directory: Path) -> None:
    with pytest.raises(EvidenceUnavailableError, match="other report data"):
        GramineAttester(directory).evidence(bytes(64))


def test_no_quote_is_given_out_where_there_is_no_attestation(directory: Path) -> None:
    (directory / "attestation_type").write_bytes(b"none")
    with pytest.raises(EvidenceUnavailableError, match=r'sgx.remote_attestation = "dcap"'):
        GramineAttester(directory).evidence(REPORT_DATA)
    assert (directory / "user_report_data").read_bytes() == bytes(64)


@pytest.mark.parametrize("missing", ["attestation_type", "quote"])
def test_outside_gramine_the_error_says_so(directory: Path, missing: str) -> None:
    (directory / missing).unlink()
    with pytest.raises(EvidenceUnavailableError, match="run this program under gramine-sgx"):
        GramineAttester(directory).evidence(REPORT_DATA)


@pytest.mark.parametrize("answer", [b"", b"not a quote", bytes(5000)])
def test_an_answer_that_is_no_quote_is_not_given_out(directory: Path, answer: bytes) -> None:
    (directory / "quote").write_bytes(answer)
    with pytest.raises(EvidenceUnavailableError, match="holds no quote"):
        GramineAttester(directory).evidence(REPORT_DATA)


def test_report_data_of_another_length_is_not_written(directory: Path) -> None:
    with pytest.raises(ValueError, match="64 bytes, not 32"):
        GramineAttester(directory).evidence(bytes(32))
    assert (directory / "user_report_data").read_bytes() == bytes(64)
