"""Servers that take as much as they can: each meets its limits, and costs its wrapper and its neighbours nothing."""

import json
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest

from app_wrapper import ownership, server_uids
from app_wrapper.volumes import bounds, data
from app_wrapper.wrapper import Wrapper, running
from standby.ids import parse_uid
from standby.states import State, StopReason
from tests.support.waiting import eventually
from tests.support.wrapper import BAD, TinyClient, enroll, processes, ready, settings

FIRST_UID: Final = 920_000
MEBI: Final = 2**20
LIMITS: Final[dict[str, Any]] = {
    "server_memory": 128 * MEBI,
    "server_descriptors": 64,
    "volume_bytes": 64 * MEBI,
    "volume_files": 200,
    "usage_watch": 0.2,
    "server_stop": 0.3,
}
Start = Callable[..., AbstractAsyncContextManager[Wrapper]]
own_uids = pytest.mark.parametrize(
    "own_uid",
    [
        False,
        pytest.param(
            True, marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root can give uids")
        ),
    ],
    ids=["shared account", "own uid"],
)


@pytest.fixture
def place() -> Iterator[Path]:
    """Where servers with uids of their own can come; below pytest's directories they could not."""
    with TemporaryDirectory(prefix="greedy-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture
def start(place: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Starts a wrapper of one greedy server; anna has a volume with a file `notes`."""
    monkeypatch.setattr(ownership, "libraries", tuple)  # these servers need none
    apps = shutil.copytree(BAD.parent, place / "app")
    contents = place / "contents"
    contents.mkdir()
    (contents / "notes").write_text("kept")
    volumes = enroll(place)
    volumes.create(parse_uid("anna"), contents)
    volumes.create(parse_uid("bert"), contents)
    server_uids.make_passage(place / "volumes")

    @asynccontextmanager
    async def begin(name: str, app: str, **changes: Any) -> AsyncIterator[Wrapper]:
        monkeypatch.setenv("BAD_SERVER", name)
        chosen = LIMITS | {"app": apps / app, "pool_size": 1, "first_server_uid": FIRST_UID}
        async with running(settings(place, **chosen, **changes)) as wrapper:
            yield wrapper

    return begin


def _app(*, own_uid: bool) -> str:
    return "app-own-uid.toml" if own_uid else "app.toml"


def watch(wrapper: Wrapper) -> dict[str, StopReason]:
    """Why servers have stopped from now on, by their boot ids."""
    reasons: dict[str, StopReason] = {}

    def note(_boot_id: object) -> None:
        for each in processes(wrapper, State.STOPPED):
            if each.reason is not None:
                reasons.setdefault(each.boot_id, each.reason)

    wrapper.supervisor.on_change = note
    return reasons


@own_uids
async def test_a_server_that_fills_its_volume_is_killed_and_the_volume_refused_until_mended(
    start: Start, place: Path, monkeypatch: pytest.MonkeyPatch, *, own_uid: bool
) -> None:
    """What it left is never looked through nor given back one by one: its release is as fast as another one."""
    most = 0
    look = bounds.look

    def watched(directory: Path, limits: bounds.Bounds) -> bounds.Usage:
        nonlocal most
        usage = look(directory, limits)
        most = max(most, usage.entries)
        return usage

    monkeypatch.setattr(data, "look", watched)
    async with start("many_files_server", _app(own_uid=own_uid)) as wrapper:
        reasons = watch(wrapper)
        (server,) = await ready(wrapper)
        monkeypatch.setenv("BAD_SERVER", "stuck_on_stop_server")  # it tells what it was told
        async with TinyClient.to(server.port) as client:
            assert await client.ask("USER anna") == "serving"
            await eventually(lambda: reasons.get(server.boot_id), "its end is seen", deadline=30)
        assert reasons[server.boot_id] is StopReason.USAGE_LIMIT
        (fresh,) = await ready(wrapper)
        async with TinyClient.to(fresh.port) as client:
            answer = await client.ask("USER anna")
        assert answer.startswith("DENIED volume_over_limit the volume has more than 200 files")
        (last,) = [each for each in await ready(wrapper) if each.boot_id != fresh.boot_id]
        async with TinyClient.to(last.port) as client:
            assert (await client.ask("USER bert")).startswith("VOLUME ")
    assert len(list((place / "volumes/anna/data/below").iterdir())) > most
    assert most <= LIMITS["volume_files"] + 1


@own_uids
async def test_a_server_that_fills_its_own_directory_is_killed_and_the_directory_removed(
    start: Start, place: Path, *, own_uid: bool
) -> None:
    async with start("full_scratch_server", _app(own_uid=own_uid)) as wrapper:
        reasons = watch(wrapper)
        (server,) = await ready(wrapper)
        async with TinyClient.to(server.port) as client:
            assert await client.ask("USER anna") == "serving"
            await eventually(lambda: reasons.get(server.boot_id), "its end is seen")
        assert reasons[server.boot_id] is StopReason.USAGE_LIMIT
        (fresh,) = await ready(wrapper)
        assert (place / "volumes/anna/claim").read_text() == "\n"
        slots, clearing = place / "state/slots", place / "state/clearing"
        assert [each.name for each in slots.iterdir()] == [f"{fresh.slot}-{fresh.boot_id}"]
        await eventually(lambda: not [*clearing.iterdir()], "its directory is removed", deadline=60)


@own_uids
async def test_a_server_that_fills_its_own_directory_before_login_is_killed_too(
    start: Start, *, own_uid: bool
) -> None:
    """Whoever takes a waiting server over need not log in."""
    async with start("full_before_login_server", _app(own_uid=own_uid)) as wrapper:
        reasons = watch(wrapper)
        await eventually(lambda: reasons, "its end is seen")
        assert set(reasons.values()) == {StopReason.USAGE_LIMIT}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give uids")
async def test_a_greedy_server_with_fixed_files_gets_no_more_than_it_may(
    start: Start, place: Path
) -> None:
    async with start("greedy_server", "app-fixed.toml") as wrapper:
        (server,) = await ready(wrapper)
        async with TinyClient.to(server.port) as client:
            assert await client.ask("USER anna") == "serving"
            tried = json.loads(await client.hear())
        await ready(wrapper)
    assert tried == {
        "a large file": "EFBIG",
        "a long file": "EFBIG",
        "another file": "EACCES",
        "a directory": "EACCES",
        "another name": "EACCES",
        "no file": "EACCES",
        "memory": "MemoryError",
        "descriptors": "EMFILE",
    }
    volume = place / "volumes/anna/data"
    assert [each.name for each in volume.iterdir()] == ["notes"]
    assert (volume / "notes").stat().st_size == LIMITS["volume_bytes"]
