"""A look at a directory costs no more than the bounds, whatever is in it."""

import os
from pathlib import Path
from typing import Self

import pytest

from app_wrapper.volumes.bounds import DEEPEST, Bounds, look

MANY = Bounds(entries=1000, bytes=1 << 30)


def _fill(directory: Path, count: int) -> None:
    for number in range(count):
        (directory / f"{number}").touch()


def test_what_is_there_is_counted_in_all_directories(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/file").write_bytes(bytes(10_000))
    (tmp_path / "link").symlink_to("/usr")
    usage = look(tmp_path, MANY)
    assert (usage.entries, usage.over) == (4, None)
    assert usage.bytes >= 10_000


def test_as_many_as_are_allowed_are_not_too_many(tmp_path: Path) -> None:
    _fill(tmp_path, 5)
    assert look(tmp_path, Bounds(5, 1 << 20)).over is None
    usage = look(tmp_path, Bounds(4, 1 << 20))
    assert usage.over == "more than 4 files"


def test_counting_ends_at_the_first_entry_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deep").mkdir()
    _fill(tmp_path / "deep", 500)
    _fill(tmp_path, 500)
    looked_at = 0
    scandir = os.scandir

    def counting(descriptor: int) -> object:
        nonlocal looked_at
        entries = scandir(descriptor)

        class Counted:
            def __enter__(self) -> Self:
                return self

            def __exit__(self, *_: object) -> None:
                entries.close()

            def __iter__(self) -> Self:
                return self

            def __next__(self) -> "os.DirEntry[str]":
                nonlocal looked_at
                entry = next(entries)
                looked_at += 1
                return entry

        return Counted()

    monkeypatch.setattr(os, "scandir", counting)
    assert look(tmp_path, Bounds(20, 1 << 30)).entries == 21
    assert looked_at == 21


def test_a_hole_takes_no_room_and_blocks_after_the_end_do(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 30)
    assert look(tmp_path, Bounds(10, 1 << 20)).over is None
    (tmp_path / "full").write_bytes(bytes(2 << 20))
    assert look(tmp_path, Bounds(10, 1 << 20)).over == f"more than {1 << 20} bytes"


def test_links_are_not_followed(tmp_path: Path) -> None:
    _fill(tmp_path, 1)
    (tmp_path / "up").symlink_to("/usr/lib")
    (tmp_path / "self").symlink_to(".")
    assert look(tmp_path, Bounds(3, 1 << 20)).over is None
    with pytest.raises(OSError, match=r"Not a directory|symbolic"):
        look(tmp_path / "up", MANY)


def test_what_is_too_deep_is_too_much(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * (DEEPEST + 5))
    deep.mkdir(parents=True)
    assert look(tmp_path, MANY).over == f"more than {DEEPEST} directories within each other"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root reads closed directories")
def test_closed_directories_are_looked_into_by_root(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir()
    _fill(tmp_path / "closed", 5)
    (tmp_path / "closed").chmod(0)
    assert look(tmp_path, Bounds(5, 1 << 20)).over == "more than 5 files"
