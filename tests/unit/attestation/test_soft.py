"""A simulated platform says so everywhere, keeps its keys to itself, and lives on after a restart."""

import datetime as dt
import stat
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from attestation.claims import TcbStatus
from attestation.evidence import Attester
from attestation.quote import parse
from attestation.soft.attester import SoftAttester
from attestation.soft.collateral import LIFETIME, CollateralIssuer, Standing, issue
from attestation.soft.keeping import KEYS_FILE
from attestation.soft.platform import SoftPlatform
from attestation.trust_files import ROOT_FILE
from attestation.verify import PinnedRoot, verify
from tests.unit.attestation.simulated import NOW, PROCESS, REPORT_DATA, Scene, scene


class _Inverted:
    """A seal that can be recognised: it turns each bit around."""

    def close(self, content: bytes) -> bytes:
        return bytes(each ^ 0xFF for each in content)

    def open(self, sealed: bytes) -> bytes:
        return self.close(sealed)


def test_every_certificate_says_that_it_is_simulated() -> None:
    made = scene()
    chain = x509.load_pem_x509_certificates(parse(made.evidence.data).signature.pck_chain)
    chain += x509.load_pem_x509_certificates(made.collateral.tcb_info_issuer_chain.encode())
    chain += x509.load_pem_x509_certificates(made.collateral.pck_crl_issuer_chain.encode())
    names = [
        each.value
        for certificate in chain
        for name in (certificate.subject, certificate.issuer)
        for each in name.get_attributes_for_oid(NameOID.COMMON_NAME)
    ]
    assert len(names) == 2 * len(chain) == 14
    assert all(str(name).startswith("SIMULATED ") for name in names)


def test_a_platform_is_the_same_after_a_restart(tmp_path: Path) -> None:
    platform = SoftPlatform.create(NOW)
    platform.save(tmp_path / "state")
    again = SoftPlatform.load(tmp_path / "state")
    root = PinnedRoot.simulated((tmp_path / "state" / ROOT_FILE).read_bytes())
    evidence = SoftAttester(again, PROCESS).evidence(REPORT_DATA)
    claims = verify(evidence, issue(platform, NOW), root, NOW.timestamp())
    assert claims.mrenclave == PROCESS.mrenclave.hex()


def test_keys_are_in_one_file_that_only_its_owner_can_read(tmp_path: Path) -> None:
    SoftPlatform.create().save(tmp_path / "state")
    directory = tmp_path / "state"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((directory / KEYS_FILE).stat().st_mode) == 0o600
    with_keys = [each.name for each in directory.iterdir() if b"PRIVATE" in each.read_bytes()]
    assert with_keys == [KEYS_FILE]


def test_what_is_on_disk_is_what_the_seal_made_of_it(tmp_path: Path) -> None:
    platform = SoftPlatform.create()
    platform.save(tmp_path, _Inverted())
    assert b"PRIVATE" not in (tmp_path / KEYS_FILE).read_bytes()
    assert SoftPlatform.load(tmp_path, _Inverted()).root_pem == platform.root_pem
    with pytest.raises(ValueError, match="JSON is malformed"):
        SoftPlatform.load(tmp_path)


def test_a_key_that_is_not_its_certificates_is_noticed_at_start(tmp_path: Path) -> None:
    SoftPlatform.create().save(tmp_path)
    kept = msgspec.json.decode((tmp_path / KEYS_FILE).read_bytes())
    kept["pck"]["key"] = kept["root"]["key"]
    (tmp_path / KEYS_FILE).write_bytes(msgspec.json.encode(kept))
    with pytest.raises(ValueError, match="another key"):
        SoftPlatform.load(tmp_path)


def test_there_is_no_platform_where_none_was_saved(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        SoftPlatform.load(tmp_path)


def test_no_key_shows_in_a_repr() -> None:
    platform = SoftPlatform.create()
    secret = platform.root.key.private_numbers().private_value
    assert repr(platform).startswith("<SIMULATED platform ")
    assert f"{secret:x}" not in repr(platform)


def test_the_attester_of_a_process_quotes_that_process() -> None:
    attester: Attester = SoftAttester(SoftPlatform.create(), PROCESS)
    report = parse(attester.evidence(REPORT_DATA).data).report
    assert (report.mrenclave, report.mrsigner) == (PROCESS.mrenclave, PROCESS.mrsigner)
    assert (report.product_id, report.svn) == (PROCESS.product_id, PROCESS.svn)
    assert report.report_data == REPORT_DATA


def test_report_data_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="64 bytes, not 63"):
        SoftPlatform.create().quote(PROCESS, REPORT_DATA[:-1])


def test_collateral_is_the_same_until_half_of_its_life_and_renewed_then() -> None:
    issuer = CollateralIssuer(SoftPlatform.create(NOW))
    first = issuer.at(NOW)
    assert issuer.at(NOW + LIFETIME / 2 - dt.timedelta(seconds=1)) is first
    later = NOW + LIFETIME / 2
    second = issuer.at(later)
    assert second is not first
    assert second.runs_out == (later + LIFETIME).timestamp()


def test_collateral_of_a_clock_that_was_set_back_is_renewed() -> None:
    issuer = CollateralIssuer(SoftPlatform.create(NOW))
    first = issuer.at(NOW)
    assert issuer.at(NOW - dt.timedelta(hours=1)) is not first


def test_evidence_passes_at_any_time_with_collateral_of_that_time() -> None:
    made = scene()
    issuer = CollateralIssuer(made.platform)
    for day in range(0, 90, 10):
        moment = NOW + dt.timedelta(days=day)
        later = Scene(made.platform, issuer.at(moment), made.root, made.evidence).at(moment)
        assert later.claims().tcb_status is TcbStatus.UP_TO_DATE


def test_the_owners_word_about_the_platform_can_be_chosen() -> None:
    standing = Standing(tcb_status=TcbStatus.OUT_OF_DATE, advisories=("SIMULATED-SA-1",))
    issuer = CollateralIssuer(SoftPlatform.create(NOW), standing)
    assert '"tcbStatus":"OutOfDate"' in issuer.at(NOW).tcb_info
    assert "SIMULATED-SA-1" in issuer.at(NOW).tcb_info
