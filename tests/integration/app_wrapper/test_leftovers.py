"""A server with a uid of its own, and no other layer, leaves things on the machine; its wrapper removes them."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from app_wrapper import leftovers, ownership, server_uids
from app_wrapper.leftovers import Cleared
from app_wrapper.wrapper import running
from tests.support import remains
from tests.support.waiting import eventually
from tests.support.wrapper import BAD, TinyClient, enroll, ready, settings

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give uids")
FIRST_UID = 910_000


@pytest.fixture
def reachable() -> Iterator[Path]:
    """Where servers with uids of their own can come; below pytest's directories they could not."""
    with TemporaryDirectory(prefix="leftovers-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


async def test_what_a_server_has_left_is_gone_before_the_next_one_has_its_uid(
    reachable: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ownership, "libraries", tuple)  # this server needs none
    monkeypatch.setenv("BAD_SERVER", "leaving_server")
    enroll(reachable, "anna")
    app = Path(shutil.copytree(BAD.parent, reachable / "app")) / "app-own-uid.toml"
    server_uids.make_passage(reachable / "volumes")
    chosen = settings(reachable, app=app, pool_size=1, first_server_uid=FIRST_UID)
    async with running(chosen) as wrapper:
        (server,) = await ready(wrapper)
        kinds = {each.split()[0] for each in remains.of(FIRST_UID)}
        assert kinds == {"process", "shm", "msg", "sem", "file"}
        monkeypatch.setenv("BAD_SERVER", "stuck_on_stop_server")  # which stays root
        async with TinyClient.to(server.port) as client:
            await client.ask("USER anna")
        await eventually(
            lambda: not [*remains.processes(FIRST_UID)], "no process of the uid is left"
        )
        (fresh,) = await ready(wrapper)
        assert (fresh.slot, fresh.boot_id != server.boot_id) == (server.slot, True)
        own = f"file {reachable}"  # the directory of the next server
        assert {each for each in remains.of(FIRST_UID) if not each.startswith(own)} == set()
    (said,) = [each for each in caplog.records if each.message == "server_left_behind"]
    found = said.__dict__["fields"]
    assert (found["processes"], found["objects"], found["files"]) == (1, 3, 4)


def test_of_a_uid_that_has_nothing_nothing_is_removed() -> None:
    assert leftovers.clear_away(FIRST_UID + 1) == Cleared()
