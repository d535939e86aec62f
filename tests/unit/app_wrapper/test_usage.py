"""Servers that serve are looked at one after the other, whatever becomes of one look."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from app_wrapper import usage
from app_wrapper.usage import Places, UsageWatch
from app_wrapper.volumes.bounds import Bounds, look
from standby.ids import BootId
from tests.support.waiting import eventually

FEW = Bounds(entries=2, bytes=1 << 20)
ONE, TWO, THREE = (BootId(f"{number:016x}") for number in (1, 2, 3))


def _places(directory: Path, boot_id: BootId, *, scratch: int = 0, volume: int = 0) -> Places:
    made = []
    for name, count in (("scratch", scratch), ("volume", volume)):
        made.append(directory / f"{name}-{boot_id}")
        made[-1].mkdir()
        for number in range(count):
            (made[-1] / f"{number}").touch()
    return Places(boot_id, *made)


def test_both_directories_are_looked_at_and_named(tmp_path: Path) -> None:
    assert _places(tmp_path, ONE, scratch=2, volume=2).excess(FEW) is None
    said = _places(tmp_path, TWO, volume=3).excess(FEW)
    assert said == "the user's volume has more than 2 files"
    said = _places(tmp_path, THREE, scratch=3).excess(FEW)
    assert said == "its scratch directory has more than 2 files"


def test_a_volume_whose_files_are_named_is_not_looked_at(tmp_path: Path) -> None:
    places = _places(tmp_path, ONE, volume=3)
    assert Places(ONE, places.scratch).excess(FEW) is None


def test_a_directory_that_is_gone_has_nothing_in_it(tmp_path: Path) -> None:
    assert Places(ONE, tmp_path / "gone", tmp_path / "gone too").excess(FEW) is None


def test_a_directory_that_is_closed_to_the_wrapper_has_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where servers share the wrapper's account one could hide what it has in it."""

    def closed(_directory: Path, _bounds: Bounds) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(usage, "look", closed)
    said = _places(tmp_path, ONE).excess(FEW)
    assert said == "its scratch directory is closed to its wrapper"


async def test_each_server_that_is_over_is_told_and_one_that_cannot_be_looked_at_hides_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    serving = [
        _places(tmp_path, ONE, volume=1),
        _places(tmp_path, TWO),
        _places(tmp_path, THREE, volume=5),
    ]
    asked: list[Path] = []

    def failing(directory: Path, bounds: Bounds) -> object:
        asked.append(directory)
        if TWO in directory.name:
            raise OSError(5, "Input/output error")
        return look(directory, bounds)

    monkeypatch.setattr(usage, "look", failing)
    told: list[BootId] = []

    def places() -> Iterable[Places]:
        return serving

    watch = UsageWatch(places, FEW, 0.01, lambda boot_id, _what: told.append(boot_id))
    async with watch.running():
        await eventually(lambda: len(told) >= 2, "it was told twice")
    assert set(told) == {THREE}
    assert {each.name.rpartition("-")[2] for each in asked} == {ONE, TWO, THREE}
    assert [each.message for each in caplog.records] == ["usage_unknown"], "once a minute"
