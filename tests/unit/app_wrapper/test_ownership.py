"""Which uids servers get, when they get none and why, and what is handed over to them."""

import json
import logging
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest

import standby
from app_wrapper import ownership, server_uids
from app_wrapper.ownership import Needs, NotHandedOverError
from app_wrapper.server_uids import FIRST, ServerUids
from standby import processes
from standby.ids import Slot
from standby.processes import Capability

MOST: Final = 1000
A, B = FIRST, FIRST + 1
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A directory that strangers can pass; pytest's own are closed to them."""
    with TemporaryDirectory(prefix="ownership-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


def _needs(place: Path, *named: Path) -> Needs:
    volumes, slots = place / "volumes", place / "slots"
    for each in (volumes, slots):
        each.mkdir()
        each.chmod(0o711)
    return Needs(volumes=volumes, slots=slots, named=(volumes, *named))


def test_no_two_slots_share_a_uid() -> None:
    uids = ServerUids(FIRST)
    assert [uids.of(Slot(n)) for n in range(3)] == [700_000, 700_001, 700_002]


@root_only
def test_where_nothing_is_closed_servers_get_uids(reachable: Path) -> None:
    assert ownership.for_servers(FIRST, MOST, _needs(reachable)) == ServerUids(FIRST)


def test_a_wrapper_that_is_not_root_gives_none_and_does_not_warn(
    reachable: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    reachable.chmod(0o700)
    assert ownership.for_servers(FIRST, MOST, _needs(reachable)) is None
    assert caplog.records == []


@root_only
def test_below_a_closed_directory_nobody_gets_one_and_one_warning_names_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert ownership.for_servers(FIRST, MOST, _needs(tmp_path)) is None
    assert len(caplog.records) == 1
    closed = ownership.closed(tmp_path)
    assert closed is not None
    assert f"{closed} (mode 0700) is closed" in str(vars(caplog.records[0]))


@pytest.mark.parametrize(
    ("mode", "open_to_strangers"),
    [(0o711, True), (0o755, True), (0o701, True), (0o700, False), (0o750, False), (0o766, False)],
)
def test_a_directory_on_the_way_must_be_passable(
    reachable: Path, mode: int, open_to_strangers: bool
) -> None:
    inner = reachable / "between" / "inner"
    inner.mkdir(parents=True)
    inner.chmod(0o711)
    inner.parent.chmod(mode)
    assert ownership.closed(inner) == (None if open_to_strangers else inner.parent)


@pytest.mark.parametrize("mode", [0o644, 0o600, 0o640])
def test_a_file_must_be_readable(reachable: Path, mode: int) -> None:
    file = reachable / "authorities.pem"
    file.write_text("public")
    file.chmod(mode)
    assert ownership.closed(file) == (None if mode & 0o4 else file)


def test_a_directory_of_libraries_must_be_listable_too(reachable: Path) -> None:
    place = reachable / "lib"
    place.mkdir()
    place.chmod(0o711)
    assert ownership.closed(place) is None
    assert ownership.closed(place, listed=True) == place


@root_only
def test_only_of_libraries_directories_must_be_listable(reachable: Path) -> None:
    place = reachable / "place"
    place.mkdir()
    place.chmod(0o711)
    needs = _needs(reachable, place)
    assert ownership.obstacle(FIRST, MOST, needs) is None
    why = ownership.obstacle(FIRST, MOST, replace(needs, libraries=(place,)))
    assert why == f"{place} (mode 0711) is closed to other accounts, and servers need {place}"


def test_a_link_is_looked_at_where_it_leads(reachable: Path, tmp_path: Path) -> None:
    (tmp_path / "hidden").mkdir(mode=0o755)
    link = reachable / "link"
    link.symlink_to(tmp_path / "hidden")
    assert ownership.closed(link) in tmp_path.parents or ownership.closed(link) == tmp_path


def test_what_will_only_be_made_is_judged_by_what_is_there(reachable: Path) -> None:
    assert ownership.closed(reachable / "none" / "yet") is None
    reachable.chmod(0o700)
    assert ownership.closed(reachable / "none" / "yet") == reachable


@root_only
def test_a_closed_file_that_servers_read_is_named(reachable: Path) -> None:
    key = reachable / "key.pem"
    key.write_text("private")
    key.chmod(0o600)
    why = ownership.obstacle(FIRST, MOST, _needs(reachable, key))
    assert why == f"{key} (mode 0600) is closed to other accounts, and servers need {key}"


@root_only
@pytest.mark.parametrize(("mode", "owner"), [(0o711, A), (0o731, 0), (0o713, 0)])
def test_volumes_that_somebody_else_could_exchange_are_not_given_away(
    reachable: Path, mode: int, owner: int
) -> None:
    needs = _needs(reachable)
    needs.volumes.chmod(mode)
    os.chown(needs.volumes, owner, owner)
    why = ownership.obstacle(FIRST, MOST, needs)
    assert why is not None
    assert "is not root's alone" in why


@root_only
def test_an_account_of_a_person_is_not_used(reachable: Path) -> None:
    why = ownership.obstacle(1, 65_534, _needs(reachable))
    assert why is not None
    assert "is the account" in why


@root_only
def test_uids_that_are_not_there_are_not_used(reachable: Path) -> None:
    why = ownership.obstacle(2**32 - 10, MOST, _needs(reachable))
    assert why is not None
    assert "are not there" in why


@root_only
def test_root_without_its_power_gives_none(
    reachable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = processes.capabilities() & ~(1 << Capability.KILL)
    monkeypatch.setattr(processes, "capabilities", lambda: held)
    assert ownership.obstacle(FIRST, MOST, _needs(reachable)) == "the wrapper is root without KILL"


def test_libraries_are_pythons_and_the_packages_in_them() -> None:
    found = ownership.libraries()
    assert Path(sys.prefix) in found
    assert Path(standby.__file__).parent in found
    assert any(each.name == "msgspec" for each in found)
    assert any(Path(json.__file__).is_relative_to(each) for each in found)


def test_of_an_environment_the_paths_that_exist_are_taken(tmp_path: Path) -> None:
    values = ["", "on", "7", "relative/path", str(tmp_path), f"{tmp_path}/none"]
    assert ownership.paths_in(values) == (tmp_path,)


def test_a_passage_is_made_for_those_who_know_names(tmp_path: Path) -> None:
    server_uids.make_passage(tmp_path / "one" / "two")
    mode = stat.S_IMODE((tmp_path / "one" / "two").stat().st_mode)
    assert mode == (0o711 if os.geteuid() == 0 else 0o700)


class Tree:
    """What a server may have left behind."""

    def __init__(self, top: Path) -> None:
        self.top = top
        (top / "deep").mkdir(parents=True)
        for name in ("smartgrid.db", "smartgrid.db-wal", "smartgrid.db-shm", "deep/file"):
            (top / name).write_text("data")
        (top / "program").write_text("#!")
        (top / "program").chmod(0o4755)
        (top / "deep").chmod(0o1777)

    def everything(self) -> list[Path]:
        return [self.top, *self.top.rglob("*")]

    def owners(self) -> set[tuple[int, int]]:
        return {(each.lstat().st_uid, each.lstat().st_gid) for each in self.everything()}

    def modes(self) -> set[int]:
        return {stat.S_IMODE(each.lstat().st_mode) for each in self.everything()}


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "data")


@root_only
def test_all_of_a_directory_is_handed_over_and_closed_to_others(tree: Tree) -> None:
    ownership.hand_over(tree.top, A)
    assert (tree.owners(), tree.modes()) == ({(A, A)}, {0o700, 0o600})
    assert stat.S_IMODE((tree.top / "program").stat().st_mode) == 0o700
    ownership.hand_over(tree.top, server_uids.ROOT, former=A)
    assert (tree.owners(), tree.modes()) == ({(0, 0)}, {0o700, 0o600})


@root_only
def test_handing_over_again_changes_nothing(tree: Tree) -> None:
    ownership.hand_over(tree.top, A)
    before = {each: each.stat().st_ctime_ns for each in tree.everything()}
    ownership.hand_over(tree.top, A)
    assert {each: each.stat().st_ctime_ns for each in tree.everything()} == before


@root_only
def test_what_is_half_handed_over_is_finished(tree: Tree) -> None:
    os.chown(tree.top / "deep/file", A, A)
    ownership.hand_over(tree.top, A)
    assert tree.owners() == {(A, A)}


@root_only
def test_links_are_not_followed_and_pipes_not_opened(tree: Tree, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("another user's")
    (tree.top / "link").symlink_to(outside / "file")
    (tree.top / "deep/link").symlink_to(outside)
    os.mkfifo(tree.top / "pipe")
    ownership.hand_over(tree.top, A)
    assert {each.stat().st_uid for each in (outside, outside / "file")} == {0}
    assert (tree.top / "deep/file").stat().st_uid == A


@root_only
def test_a_directory_that_is_a_link_itself_is_not_handed_over(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tree.top)
    with pytest.raises(OSError, match="directory"):
        ownership.hand_over(tmp_path / "link", A)
    assert tree.owners() == {(0, 0)}


@root_only
@pytest.mark.parametrize("name", ["planted", "deep/planted"])
def test_a_file_with_another_name_is_not_handed_over(tree: Tree, tmp_path: Path, name: str) -> None:
    """As a server could plant it where the kernel's protected_hardlinks is off."""
    victim = tmp_path / "shadow"
    victim.write_text("root's")
    (tree.top / name).hardlink_to(victim)
    with pytest.raises(NotHandedOverError, match="hard link"):
        ownership.check(tree.top)
    with pytest.raises(NotHandedOverError, match="hard link"):
        ownership.hand_over(tree.top, A)
    assert victim.stat().st_uid == 0


@root_only
@pytest.mark.parametrize("name", ["smartgrid.db", "deep", "deep/file"])
def test_what_belongs_to_somebody_else_is_not_handed_over(tree: Tree, name: str) -> None:
    os.chown(tree.top / name, B, B)
    with pytest.raises(NotHandedOverError, match=f"belongs to uid {B}"):
        ownership.hand_over(tree.top, server_uids.ROOT, former=A)
    assert (tree.top / name).stat().st_uid == B


@root_only
def test_a_check_changes_nothing(tree: Tree) -> None:
    before = {each: each.stat().st_ctime_ns for each in tree.everything()}
    ownership.check(tree.top)
    assert {each: each.stat().st_ctime_ns for each in tree.everything()} == before


@root_only
def test_a_bottomless_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data" / "/".join("d" * 40)).mkdir(parents=True)
    with pytest.raises(NotHandedOverError, match="too deep"):
        ownership.hand_over(tmp_path / "data", A)


@root_only
@pytest.mark.parametrize("planted", [True, False])
def test_no_descriptor_is_left(tree: Tree, planted: bool) -> None:
    if planted:
        (tree.top / "deep/planted").hardlink_to(tree.top / "smartgrid.db")
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # only counted
    try:
        ownership.hand_over(tree.top, A)
    except NotHandedOverError:
        assert planted
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208  # only counted
