"""Copies that a wrapper makes of its users' volumes: when, and when it cannot. Wrappers are in this process."""

from pathlib import Path

import aiohttp
import pytest

from app_wrapper.volumes.hostpath import HostPathVolumes
from app_wrapper.volumes.hostpath_copies import HostPathCopies
from app_wrapper.wrapper import Wrapper, running
from standby.settings import SettingsError
from tests.support.volume_contract import ANNA, BERT
from tests.support.waiting import eventually
from tests.support.wrapper import TinyClient, enroll, ready, settings


async def _session(wrapper: Wrapper, *notes: str) -> None:
    (server, *_) = await ready(wrapper)
    async with TinyClient.to(server.port) as client:
        await client.log_in("anna")
        for each in notes:
            assert await client.ask(f"NOTE {each}") == "NOTED"
        assert await client.ask("BYE") == "GOODBYE"


async def _metrics(wrapper: Wrapper) -> str:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{wrapper.url}/metrics") as metrics,
    ):
        return await metrics.text()


async def _made(copies: HostPathCopies, generation: int) -> None:
    await eventually(
        lambda: [each for each in copies.list(ANNA) if each.generation == generation],
        f"there is a copy of generation {generation}",
    )


async def test_each_session_that_changed_something_is_copied_and_counted(tmp_path: Path) -> None:
    volumes = enroll(tmp_path, "anna")
    copies = HostPathCopies(tmp_path / "copies", volumes)
    async with running(settings(tmp_path, copies_dir=tmp_path / "copies", copies=5)) as wrapper:
        for generation in (1, 2):
            await _session(wrapper, f"note {generation}")
            await _made(copies, generation)
        await _session(wrapper)
        await _session(wrapper, "note 4")
        await _made(copies, 4)
        counted = 'standby_app_wrapper_volume_copies_total{outcome="made"} 3.0'

        async def shown() -> bool:
            return counted in await _metrics(wrapper)

        await eventually(shown, "they are counted")
        assert 'volume_copies_total{outcome="failed"} 0.0' in await _metrics(wrapper)
    assert [each.generation for each in copies.list(ANNA)] == [1, 2, 4]
    copies.restore(ANNA, 1)
    assert (volumes.data(ANNA) / "notes").read_text() == "note 1\n"


async def test_volumes_that_were_never_copied_are_copied_at_the_start(tmp_path: Path) -> None:
    volumes = enroll(tmp_path, "anna", "bert")
    (volumes.data(ANNA) / "notes").write_text("old\n")
    copies = HostPathCopies(tmp_path / "copies", volumes)
    async with running(settings(tmp_path, copies_dir=tmp_path / "copies")):
        await eventually(lambda: copies.list(ANNA), "it is copied")
    assert copies.list(BERT) == [], "there is nothing in it"


@pytest.mark.parametrize("changes", [{}, {"copies": 0}])
async def test_a_wrapper_that_makes_no_copies_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, changes: dict[str, int]
) -> None:
    enroll(tmp_path, "anna")
    copies_dir = tmp_path / "copies" if changes else None
    async with running(settings(tmp_path, copies_dir=copies_dir, **changes)) as wrapper:
        await _session(wrapper, "note")
        await ready(wrapper, 2)
    assert "volumes_not_copied" in [each.message for each in caplog.records]
    assert not (tmp_path / "copies").exists()


@pytest.mark.parametrize("where", ["volumes", "volumes/copies", "link/copies"])
async def test_copies_where_servers_come_are_refused(tmp_path: Path, where: str) -> None:
    HostPathVolumes(tmp_path / "volumes").create(ANNA)
    (tmp_path / "link").symlink_to(tmp_path / "volumes")
    with pytest.raises(SettingsError, match="below volumes_dir"):
        async with running(settings(tmp_path, copies_dir=tmp_path / where)):
            pass
