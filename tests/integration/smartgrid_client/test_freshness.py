"""Older data are noticed: what LOGOUT said is kept and presented at the next LOGIN."""

import base64
import json
import stat
from pathlib import Path

import pytest

from smartgrid_client import errors
from smartgrid_client.freshness import Memory
from smartgrid_client.messages import Freshness
from tests.integration.smartgrid_client.command_line import arguments, run
from tests.integration.smartgrid_client.conftest import AttestedPlace
from tests.support.attested_stub import TAG

CUSTOMER = ("--mode", "2", "--duration", "0.1", "--frequency", "0.1")


@pytest.fixture
def user(tmp_path: Path) -> Path:
    (tmp_path / "user").mkdir()
    return tmp_path / "user"


@pytest.fixture
def command(attested: AttestedPlace, user: Path) -> list[str]:
    return [*arguments(attested, user), "--policy", str(attested.policy)]


def kept(generation: int) -> dict[str, object]:
    return {"generation": generation, "tag": base64.b64encode(TAG).decode()}


async def test_the_next_login_presents_what_logout_said(
    attested: AttestedPlace, command: list[str], user: Path
) -> None:
    first, second = await run(command, *CUSTOMER), await run(command, *CUSTOMER)
    file = user / "freshness.json"
    assert (first.status, second.status) == (0, 0)
    assert "freshness" not in attested.stub.bodies[0]
    assert attested.stub.bodies[1]["freshness"] == kept(1)
    assert json.loads(file.read_text()) == kept(2)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not (user / ".freshness.json").exists()


async def test_a_key_file_of_its_own_name_has_a_freshness_file_of_its_own_name(
    command: list[str], user: Path
) -> None:
    (user / "db.key").rename(user / "alice.key")
    result = await run(command, *CUSTOMER, "--keydir", str(user / "alice.key"))
    assert result.status == 0, result.err
    assert (user / "alice.key.freshness.json").exists()


async def test_older_data_are_refused_once_and_for_all_unless_they_are_accepted(
    attested: AttestedPlace, command: list[str]
) -> None:
    attested.stub.older_data = True
    refused = await run(command, *CUSTOMER)
    assert refused.status == 1
    assert "FAILED older_data" in refused.out
    assert len(attested.stub.bodies) == 1
    assert "accept_older" not in attested.stub.bodies[0]
    accepted = await run(command, *CUSTOMER, "--accept-older-data")
    assert accepted.status == 0, accepted.err
    assert attested.stub.bodies[1]["accept_older"] is True


async def test_what_nobody_can_say_is_said_but_not_at_the_very_first_login(
    attested: AttestedPlace, command: list[str]
) -> None:
    attested.stub.says = {"freshness": "unknown", "freshness_text": "it was not closed properly"}
    first, second = await run(command, *CUSTOMER), await run(command, *CUSTOMER)
    line = "freshness of the data is unknown: it was not closed properly"
    assert line not in first.err
    assert second.err.splitlines().count(line) == 1
    assert second.status == 0


async def test_verified_data_are_no_news(attested: AttestedPlace, command: list[str]) -> None:
    attested.stub.says = {"freshness": "verified", "freshness_text": ""}
    await run(command, *CUSTOMER)
    result = await run(command, *CUSTOMER)
    assert "freshness" not in result.err


async def test_a_file_that_cannot_be_used_ends_the_run_before_it_begins(
    attested: AttestedPlace, command: list[str], user: Path
) -> None:
    (user / "freshness.json").write_text("{")
    result = await run(command, *CUSTOMER)
    assert result.status == 2
    assert "remove it if that is meant" in result.err
    assert attested.gate.count == 0


async def test_a_logout_that_leaves_others_in_the_session_changes_nothing(
    attested: AttestedPlace, command: list[str], user: Path
) -> None:
    async with attested.client() as other:
        await other.login(attested.key)
        assert (await run(command, *CUSTOMER)).status == 0
        assert not (user / "freshness.json").exists()
        assert await other.logout() == Freshness(generation=2, tag=TAG)


async def test_the_library_presents_what_it_is_given(attested: AttestedPlace) -> None:
    async with attested.client() as client:
        await client.login(attested.key)
        known = await client.logout()
        attested.stub.older_data = True
        with pytest.raises(errors.RefusedError) as caught:
            await client.login(attested.key, known)
        assert (await client.login(attested.key, known, accept_older=True)).generation == 2
    assert (caught.value.reason, caught.value.retry) == ("older_data", False)
    assert [each.get("freshness") for each in attested.stub.bodies] == [None, kept(1), kept(1)]


async def test_a_place_that_cannot_be_written_is_said_and_the_session_ends_well(
    attested: AttestedPlace, tmp_path: Path
) -> None:
    told: list[str] = []
    memory = Memory(tmp_path / "freshness.json", told.append)
    memory._file = tmp_path / "gone" / "freshness.json"
    async with attested.session(memory=memory):
        pass
    (line,) = told
    assert line.startswith(f"warning: cannot write {memory._file}")
    assert attested.codes[-1] == ("LOGOUT", "ok")
