"""What a person sees of a server's attestation: exit statuses, reports, warnings. Each run is a process of its own."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from attestation import policy_signing
from attestation.signed_policy import SignedPolicy
from attestation.trust_files import KEY_FILE
from smartgrid_client.view import SIMULATED, UNVERIFIED
from tests.integration.smartgrid_client.command_line import arguments, of_meter, run
from tests.integration.smartgrid_client.conftest import AttestedPlace
from tests.support.attested_stub import CHANGED, SMARTGRID, Prover, refusing
from tests.support.smartgrid_stub import KEY_HEX

CUSTOMER = ("--mode", "2", "--duration", "0.2", "--frequency", "0.1")
METER = ("--mode", "1", "--duration", "0.2", "--frequency", "0.1")
SKIP = "--insecure-skip-attestation"


@pytest.fixture
def bare(attested: AttestedPlace, tmp_path: Path) -> list[str]:
    """Without a policy anywhere."""
    (tmp_path / "user").mkdir()
    return arguments(attested, tmp_path / "user")


@pytest.fixture
def command(bare: list[str], attested: AttestedPlace) -> list[str]:
    return [*bare, "--policy", str(attested.policy)]


@pytest.mark.parametrize("mode", [CUSTOMER, METER])
async def test_an_attested_server_serves_and_a_simulated_platform_is_said_once(
    attested: AttestedPlace, command: list[str], mode: tuple[str, ...]
) -> None:
    attested.stub.after_answer.append(lambda _, response: response.force_close())
    result = await run(command, *mode, *(of_meter(attested) if mode is METER else ()))
    assert result.status == 0, result.err
    assert result.err.splitlines() == [SIMULATED]
    assert len(attested.stub.challenges) == 2


async def test_the_summary_names_the_server_and_the_policy(command: list[str]) -> None:
    result = await run(command, *CUSTOMER, "--json", "-")
    proved = json.loads(result.out)["attestation"]
    digest = proved["policy"].pop("digest")
    assert len(digest) == 64
    assert proved == {
        "admitted": True,
        "variant": "smartgrid",
        "measurement": SMARTGRID.mrenclave.hex(),
        "root": "simulated",
        "tcb_status": "UpToDate",
        "policy": {"version": 3},
    }


@pytest.mark.parametrize("mode", [CUSTOMER, METER])
async def test_a_changed_server_gets_nothing_and_the_exit_status_is_3(
    attested: AttestedPlace, command: list[str], mode: tuple[str, ...]
) -> None:
    attested.stub.prover = replace(attested.stub.prover, process=CHANGED)
    result = await run(command, *mode, *(of_meter(attested) if mode is METER else ()))
    assert result.status == 3
    assert list(attested.stub.arrived.values()) == [["attest"]]
    expected, found = SMARTGRID.mrenclave.hex(), CHANGED.mrenclave.hex()
    said, difference, judged, advice = result.err.splitlines()
    assert said == "the server was refused (not_admitted): the policy does not admit this server"
    assert difference == f"  mrenclave (variant 'smartgrid'): expected {expected}, found {found}"
    assert judged.startswith("  judged by policy version 3, digest ")
    assert "get the new policy.toml from somebody you trust" in advice
    assert "FAILED not_admitted" in result.out
    assert SIMULATED not in result.err


def _next_version(attested: AttestedPlace, key: Ed25519PrivateKey) -> SignedPolicy:
    """Version 4 of the user's policy, which admits the changed program alone."""
    text = attested.policy.read_text().replace("version = 3", "version = 4")
    expected, changed = SMARTGRID.mrenclave.hex(), CHANGED.mrenclave.hex()
    return policy_signing.sign(text.replace(expected, changed).encode(), key)


@pytest.mark.parametrize("mode", [CUSTOMER, METER])
async def test_a_signed_newer_policy_from_the_server_admits_a_new_program_without_a_person(
    attested: AttestedPlace, command: list[str], mode: tuple[str, ...]
) -> None:
    key = Ed25519PrivateKey.generate()
    attested.policy.with_name(KEY_FILE).write_bytes(policy_signing.public_pem(key))
    attested.stub.prover = replace(attested.stub.prover, process=CHANGED)
    attested.stub.policy = _next_version(attested, key)
    command += of_meter(attested) if mode is METER else ()
    first = await run(command, *mode, "--json", "-")
    assert first.status == 0, first.err
    assert first.err.count("policy version 4 replaces version 3") == 1
    assert json.loads(first.out)["attestation"]["policy"]["version"] == 4
    assert attested.policy.read_bytes() == attested.stub.policy.content
    attested.stub.policy = None
    again = await run(command, *mode)
    assert again.status == 0, again.err
    assert "replaces" not in again.err


async def test_a_signed_newer_policy_from_a_file_is_taken_before_any_server_is_met(
    attested: AttestedPlace, command: list[str], tmp_path: Path
) -> None:
    key, file = Ed25519PrivateKey.generate(), tmp_path / "download.toml"
    signed = _next_version(attested, key)
    attested.stub.prover = replace(attested.stub.prover, process=CHANGED)
    option = (*CUSTOMER, "--newer-policy", str(file))
    for content, said in ((signed.text, "no signed policy"), (signed.content, "is pinned")):
        file.write_bytes(content)
        refused = await run(command, *option)
        assert (refused.status, said in refused.err) == (2, True), refused.err
    assert attested.gate.count == 0
    attested.policy.with_name(KEY_FILE).write_bytes(policy_signing.public_pem(key))
    result = await run(command, *option)
    assert result.status == 0, result.err
    assert "policy version 4 replaces version 3" in result.err
    assert attested.policy.read_bytes() == signed.content


@pytest.mark.parametrize("pinned", [True, False])
async def test_a_server_cannot_bring_a_policy_of_its_own(
    attested: AttestedPlace, command: list[str], *, pinned: bool
) -> None:
    """By the user's own policy it is refused, with or without a key beside that."""
    if not pinned:
        other = policy_signing.public_pem(Ed25519PrivateKey.generate())
        attested.policy.with_name(KEY_FILE).write_bytes(other)
    before = attested.policy.read_bytes()
    attested.stub.prover = replace(attested.stub.prover, process=CHANGED)
    attested.stub.policy = _next_version(attested, Ed25519PrivateKey.generate())
    result = await run(command, *CUSTOMER)
    assert result.status == 3
    assert list(attested.stub.arrived.values()) == [["attest"]]
    assert ("policy_forged" in result.err) == (not pinned)
    assert attested.policy.read_bytes() == before


async def test_the_report_of_a_refusal_is_in_the_json(
    attested: AttestedPlace, command: list[str], prover: Prover
) -> None:
    attested.stub.prover = replace(attested.stub.prover, key=prover.key)
    result = await run(command, *CUSTOMER, "--json", "-")
    summary = json.loads(result.out)
    assert result.status == 3
    assert summary["attestation"]["admitted"] is False
    assert summary["attestation"]["code"] == "other_key"
    assert summary["attestation"]["reasons"] == []
    assert summary["operations"]["LOGIN"]["errors"] == 1
    assert summary["operations"]["LOGIN"]["retries"] == 0
    assert "the server was refused (other_key): " in result.err


async def test_a_server_that_is_exchanged_in_the_middle_ends_the_run_with_3(
    attested: AttestedPlace, command: list[str]
) -> None:
    def exchange() -> None:
        attested.stub.prover = replace(attested.stub.prover, process=CHANGED)
        for each in [*attested.stub.arrived]:
            each.abort()

    attested.stub.on_login = exchange
    result = await run(command, "--mode", "2", "--duration", "60", "--frequency", "0")
    assert result.status == 3
    assert attested.stub.unverified == []
    assert set(attested.stub.requests) == {"login"}


async def test_a_server_without_evidence_is_asked_again_and_is_exit_status_1(
    attested: AttestedPlace, command: list[str]
) -> None:
    attested.stub.misbehaviour.extend([refusing(503, "evidence_unavailable")] * 100)
    result = await run(command, *CUSTOMER, "--retry", "1.5")
    assert result.status == 1
    assert "RETRIED evidence_unavailable" in result.out
    assert "FAILED evidence_unavailable" in result.out
    assert attested.stub.unverified == []
    assert attested.stub.requests == []


async def test_the_policy_beside_the_authorities_is_found(
    attested: AttestedPlace, bare: list[str]
) -> None:
    directory = attested.policy.parent
    shutil.copy(attested.tls.authorities, directory / "ca.pem")
    result = await run(bare, *CUSTOMER, "--ca", str(directory / "ca.pem"))
    assert result.status == 0, result.err
    assert SIMULATED in result.err


async def test_without_a_policy_nothing_is_sent_and_it_is_said_what_to_do(
    attested: AttestedPlace, bare: list[str]
) -> None:
    result = await run(bare, *CUSTOMER)
    assert result.status == 2
    assert "policy.toml" in result.err
    assert "standby enroll" in result.err
    assert attested.gate.count == 0


async def test_skipping_is_said_in_each_run(attested: AttestedPlace, bare: list[str]) -> None:
    result = await run(bare, *CUSTOMER, SKIP, "--json", "-")
    assert result.status == 0, result.err
    assert result.err.startswith(UNVERIFIED)
    assert json.loads(result.out)["attestation"] is None
    assert attested.stub.challenges == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ((*METER, SKIP), "is not for meters"),
        ((*CUSTOMER, SKIP, "--policy", "{policy}"), "verifies no server"),
        ((*CUSTOMER, SKIP, "--collateral", "{policy}"), "verifies no server"),
        ((*CUSTOMER, "--policy", "{key}"), "cannot use"),
        ((*CUSTOMER, "--policy", "{policy}", "--collateral", "{key}"), "not collateral"),
        ((*CUSTOMER, "--policy", "{copy}"), "simulated-root.pem beside the policy"),
    ],
)
async def test_what_does_not_go_together_is_exit_status_2(
    attested: AttestedPlace, bare: list[str], tmp_path: Path, more: tuple[str, ...], said: str
) -> None:
    copy = tmp_path / "copy.toml"
    shutil.copy(attested.policy, copy)
    files = {"policy": attested.policy, "key": tmp_path / "user" / "db.key", "copy": copy}
    result = await run(bare, *(each.format(**files) for each in more))
    assert result.status == 2
    assert said in result.err
    assert "Traceback" not in result.err
    assert KEY_HEX not in result.err
    assert attested.gate.count == 0


async def test_ones_own_collateral_is_used(
    attested: AttestedPlace, command: list[str], tmp_path: Path
) -> None:
    own = attested.stub.prover.collateral
    assert own is not None
    own.save(tmp_path / "collateral.json")
    attested.stub.prover = replace(attested.stub.prover, collateral=None)
    assert (await run(command, *CUSTOMER)).status == 3
    result = await run(command, *CUSTOMER, "--collateral", str(tmp_path / "collateral.json"))
    assert result.status == 0, result.err


async def test_the_exit_status_is_in_the_help(bare: list[str]) -> None:
    result = await run(bare[:3], "--help")
    assert "3 the server is not" in result.out
