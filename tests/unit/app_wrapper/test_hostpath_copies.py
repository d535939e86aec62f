"""Copies of volumes that are directories: what is copied, what is refused, and dying at every step."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from app_wrapper.server_uids import FIRST
from app_wrapper.volumes import VolumeUnavailableError, trees
from app_wrapper.volumes.copies import Kept, NotCopiedError
from app_wrapper.volumes.hostpath import HostPathVolumes
from app_wrapper.volumes.hostpath_copies import HostPathCopies
from app_wrapper.volumes.retention import DAY
from tests.support.copies_contract import Both, CopiesContract, content, copied, go_on, session
from tests.support.dying import every_death
from tests.support.volume_contract import ANNA, BERT, holder

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def both(tmp_path: Path) -> Iterator[tuple[HostPathVolumes, HostPathCopies]]:
    volumes = HostPathVolumes(tmp_path / "volumes")
    for uid in (ANNA, BERT):
        volumes.create(uid)
        (volumes.data(uid) / "file").write_text("at first")
    yield volumes, HostPathCopies(tmp_path / "copies", volumes)
    volumes.close()


Made = tuple[HostPathVolumes, HostPathCopies]


class TestHostPathCopies(CopiesContract):
    @pytest.fixture
    def both(self, both: Made) -> Both:
        return both


def _copy(tmp_path: Path, number: int, name: str = "file") -> Path:
    return tmp_path / "copies" / "anna" / str(number) / "data" / name


def test_copies_are_closed_to_servers(both: Made, tmp_path: Path) -> None:
    copied(both, "good")
    modes = [
        stat.S_IMODE(each.stat().st_mode)
        for each in (tmp_path / "copies", tmp_path / "copies" / "anna", _copy(tmp_path, 1))
    ]
    assert modes == [0o700, 0o700, 0o600]


@root_only
def test_a_copy_and_what_is_restored_are_roots_whoever_had_the_volume(
    both: Made, tmp_path: Path
) -> None:
    volumes, copies = both
    own = msgspec.structs.replace(holder(), server_uid=FIRST)
    volume = volumes.claim(ANNA, own)
    (Path(volume.path) / "file").write_text("good")
    volumes.release(ANNA, volume.generation)
    assert copies.keep(ANNA, go_on) is Kept.MADE
    session(both, "bad", closed=False)
    copies.restore(ANNA)
    for each in (_copy(tmp_path, 1), volumes.data(ANNA), volumes.data(ANNA) / "file"):
        assert each.stat().st_uid == 0
    again = volumes.claim(ANNA, own)
    assert (Path(again.path) / "file").stat().st_uid == FIRST


@root_only
def test_what_a_dead_wrappers_server_planted_keeps_nobody_from_restoring(
    both: Made, tmp_path: Path
) -> None:
    """It cannot be taken back; it is not in the copy of what was replaced, and is named."""
    volumes, copies = both
    copied(both, "good")
    volume = volumes.claim(ANNA, msgspec.structs.replace(holder(), server_uid=FIRST))
    outside = tmp_path / "outside"
    outside.write_text("another user's")
    (Path(volume.path) / "planted").hardlink_to(outside)
    with pytest.raises(VolumeUnavailableError, match="hard link"):
        volumes.release(ANNA, volume.generation)
    (Path(volume.path) / "file").write_text("bad")
    restored = copies.restore(ANNA)
    assert restored.skipped == ("planted",)
    assert content(both) == "good"
    assert not (volumes.data(ANNA) / "planted").exists()
    assert stat.S_IMODE(volumes.data(ANNA).parent.stat().st_mode) == 0o700


def test_directories_and_large_files_are_copied_whole(both: Made, tmp_path: Path) -> None:
    volumes, copies = both
    data = volumes.data(ANNA)
    large = os.urandom(2 * trees.PART + 17)
    (data / "below" / "deep").mkdir(parents=True)
    (data / "below" / "deep" / "large").write_bytes(large)
    (data / "below" / "program").write_text("x")
    (data / "below" / "program").chmod(0o4777)
    (data / "empty").touch()
    parts: list[None] = []
    assert copies.keep(ANNA, lambda: parts.append(None)) is Kept.MADE
    assert _copy(tmp_path, 1, "below/deep/large").read_bytes() == large
    assert stat.S_IMODE(_copy(tmp_path, 1, "below/program").stat().st_mode) == 0o700
    assert _copy(tmp_path, 1, "empty").read_bytes() == b""
    assert len(parts) >= 3, "it can be made to wait between parts"


@pytest.mark.parametrize("planted", ["link", "fifo", "hard link", "unprintable"])
def test_what_is_not_a_file_of_this_user_alone_is_not_copied(
    both: Made, tmp_path: Path, planted: str
) -> None:
    volumes, copies = both
    copied(both, "good")
    outside = tmp_path / "outside"
    outside.write_text("another user's")
    session(both, "bad")
    place = volumes.data(ANNA) / "planted"
    match planted:
        case "link":
            place.symlink_to(outside)
        case "fifo":
            os.mkfifo(place)
        case "hard link":
            place.hardlink_to(outside)
        case _:
            place.with_name("\x1b[2J").touch()
    with pytest.raises(NotCopiedError, match="link, a file with several names"):
        copies.keep(ANNA, go_on)
    assert [each.number for each in copies.list(ANNA)] == [1]
    assert copies.restore(ANNA).skipped
    assert content(both) == "good"


@pytest.mark.parametrize("much", ["files", "bytes", "depth"])
def test_more_than_the_bounds_is_refused_before_anything_is_written(
    both: Made, tmp_path: Path, much: str
) -> None:
    volumes, copies = both
    copied(both, "good")
    session(both, "bad")
    data = volumes.data(ANNA)
    match much:
        case "files":
            for number in range(trees.MOST_FILES + 1):
                (data / f"{number}").touch()
        case "bytes":
            os.truncate(data / "file", trees.MOST_BYTES + 1)
        case _:
            (data / "/".join("d" * (trees.DEEPEST + 1))).mkdir(parents=True)
    with pytest.raises(NotCopiedError, match="more than"):
        copies.keep(ANNA, go_on)
    assert [each.number for each in copies.list(ANNA)] == [1]
    if much == "files":
        replaced = copies.restore(ANNA).replaced
        assert replaced is not None
        assert len([*_copy(tmp_path, replaced.number).parent.iterdir()]) == trees.MOST_FILES + 2
    else:
        with pytest.raises(NotCopiedError, match="--discard"):
            copies.restore(ANNA)
        copies.restore(ANNA, discard=True)
    assert content(both) == "good"


def test_a_directory_that_is_gone_or_a_link_is_replaced(both: Made, tmp_path: Path) -> None:
    volumes, copies = both
    copied(both, "good")
    data = volumes.data(ANNA)
    data.rename(tmp_path / "elsewhere")
    copies.restore(ANNA)
    assert content(both) == "good"
    data.rename(tmp_path / "elsewhere too")
    data.symlink_to(tmp_path)
    copies.restore(ANNA, discard=True)
    assert content(both) == "good"
    assert not data.is_symlink()
    assert (tmp_path / "elsewhere").is_dir(), "nothing behind the link was touched"


def test_a_server_that_turns_back_the_time_of_change_deceives_no_restore(both: Made) -> None:
    volumes, copies = both
    copied(both, "good")
    file = volumes.data(ANNA) / "file"
    before = file.stat()
    session(both, "evil")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_ino == before.st_ino
    assert copies.keep(ANNA, go_on) is Kept.UNCHANGED
    replaced = copies.restore(ANNA).replaced
    assert replaced is not None
    assert content(both) == "good"
    copies.restore(ANNA, replaced.number)
    assert content(both) == "evil"


def test_an_emptied_volume_is_not_worth_a_copy(both: Made) -> None:
    volumes, copies = both
    copied(both, "good")
    volume = volumes.claim(ANNA, holder())
    (Path(volume.path) / "file").unlink()
    volumes.release(ANNA, volume.generation)
    copies.closed(ANNA, volume.generation)
    assert copies.keep(ANNA, go_on) is Kept.UNCHANGED
    assert copies.restore(ANNA).replaced is None
    assert content(both) == "good"


def test_a_full_file_system_costs_the_copy_and_not_those_before(
    both: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied(both, "good")
    session(both, "better")
    full = SimpleNamespace(f_bavail=4, f_blocks=100, f_frsize=4096)
    with monkeypatch.context() as patch:
        patch.setattr(os, "statvfs", lambda _: full)
        with pytest.raises(NotCopiedError, match="make room"):
            both[1].keep(ANNA, go_on)
    with monkeypatch.context() as patch:
        patch.setattr(os, "copy_file_range", _no_room)
        with pytest.raises(VolumeUnavailableError, match="No space left"):
            both[1].keep(ANNA, go_on)
    assert [each.generation for each in both[1].list(ANNA)] == [1]
    assert both[1].keep(ANNA, go_on) is Kept.MADE


def _no_room(*_: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_another_file_system_is_no_obstacle(
    both: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def elsewhere(*_: object) -> int:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "copy_file_range", elsewhere)
    copied(both, "good")
    assert _copy(tmp_path, 1).read_text() == "good"
    session(both, "bad", closed=False)
    both[1].restore(ANNA)
    assert content(both) == "good"


def test_what_is_not_kept_any_more_is_removed(tmp_path: Path) -> None:
    volumes = HostPathVolumes(tmp_path / "volumes")
    volumes.create(ANNA)
    now = 1e9
    both = volumes, HostPathCopies(tmp_path / "copies", volumes, newest=2, clock=lambda: now)
    for number in range(6):
        copied(both, f"state {number}")
        now += DAY / 4
    assert [each.number for each in both[1].list(ANNA)] == [1, 3, 5, 6]
    names = {each.name for each in (tmp_path / "copies" / "anna").iterdir()}
    assert names == {"lock", "1", "3", "5", "6"}


def test_a_copy_whose_record_is_damaged_is_left_as_it_is(both: Made, tmp_path: Path) -> None:
    copied(both, "good")
    copied(both, "better")
    (tmp_path / "copies/anna/2/record").write_text("?")
    assert [each.number for each in both[1].list(ANNA)] == [1]
    copied(both, "best")
    assert [each.number for each in both[1].list(ANNA)] == [1, 3]
    assert _copy(tmp_path, 2).read_text() == "better"


def test_dying_at_any_step_of_a_copy_leaves_the_old_ones_or_also_the_new_one(both: Made) -> None:
    volumes, copies = both
    copied(both, "good")
    session(both, "better")
    for _ in every_death(lambda: _kept(copies)):
        assert [each.generation for each in copies.list(ANNA)] in ([1], [1, 2])
        assert content_now(volumes) == "better"
    assert [each.generation for each in copies.list(ANNA)] == [1, 2]
    copies.restore(ANNA, 2)
    assert content(both) == "better"


def _kept(copies: HostPathCopies) -> None:
    copies.keep(ANNA, go_on)


def content_now(volumes: HostPathVolumes) -> str:
    return (volumes.data(ANNA) / "file").read_text()


def test_dying_at_any_step_of_a_restore_leaves_the_one_or_the_other(both: Made) -> None:
    """And both are among the copies."""
    volumes, copies = both
    copied(both, "good")
    session(both, "bad", closed=False)
    seen = set()
    for _ in every_death(lambda: _restored(copies)):
        seen.add(content_now(volumes))
        assert volumes.info(ANNA).holder is None
        states = {
            (volumes.data(ANNA).parents[2] / f"copies/anna/{each.number}/data/file").read_text()
            for each in copies.list(ANNA)
        }
        assert "good" in states
        assert seen <= {"good", "bad"}
        assert content_now(volumes) in {"good", "bad"}
        assert content_now(volumes) == "bad" or "bad" in states
    assert content(both) == "good"
    assert seen == {"good", "bad"}, "it died before and after the exchange"


def _restored(copies: HostPathCopies) -> None:
    copies.restore(ANNA, 1)


@root_only
def test_another_account_than_the_platforms_restores_nothing_and_leaves_nothing(
    both: Made, tmp_path: Path
) -> None:
    """It would leave files that the wrapper cannot open."""
    volumes, copies = both
    os.chown(volumes.data(ANNA).parent, FIRST, FIRST)
    with pytest.raises(VolumeUnavailableError, match="as the account that runs the platform"):
        copies.restore(ANNA)
    assert not (tmp_path / "copies").exists()
