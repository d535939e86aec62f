"""Whose a volume's data is while a server has it and afterwards, and what is refused."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from app_wrapper.ownership import NotHandedOverError
from app_wrapper.server_uids import FIRST
from app_wrapper.volumes import VolumeDamagedError, VolumeOverLimitError
from app_wrapper.volumes.bounds import Bounds
from app_wrapper.volumes.data import Directory, Files
from tests.support.dying import every_death

A, B = FIRST, FIRST + 1
FILES = Files(("data.db",), ("data.db-wal",))
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    directory = tmp_path / "data"
    directory.mkdir(mode=0o700)
    (directory / "data.db").write_text("kept")
    return directory


def _owners(data: Path) -> set[int]:
    return {each.stat().st_uid for each in data.iterdir()}


def test_missing_journals_are_made_and_others_left_as_they_are(data: Path) -> None:
    FILES.check(data, given=False)
    journal = data / "data.db-wal"
    assert journal.read_bytes() == b""
    journal.write_text("transactions")
    FILES.check(data, given=False)
    assert journal.read_text() == "transactions"
    assert stat.S_IMODE(journal.stat().st_mode) == 0o600


@pytest.mark.parametrize("damage", ["missing", "directory", "link"])
def test_a_file_that_must_be_there_and_is_not_is_named_with_what_to_do(
    data: Path, damage: str
) -> None:
    (data / "data.db").unlink()
    if damage == "directory":
        (data / "data.db").mkdir()
    elif damage == "link":
        (data / "data.db").symlink_to("/etc/passwd")
    with pytest.raises(VolumeDamagedError, match=r"data\.db.*from a backup"):
        FILES.check(data, given=False)


def test_a_journal_that_is_a_link_is_not_followed(data: Path, tmp_path: Path) -> None:
    (data / "data.db-wal").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        FILES.check(data, given=False)
    assert not (tmp_path / "elsewhere").exists()


@root_only
def test_a_server_gets_the_files_and_not_the_directory(data: Path) -> None:
    FILES.check(data, given=True)
    FILES.give(data, A)
    assert _owners(data) == {A}
    assert (data.stat().st_uid, data.stat().st_gid) == (0, A)
    assert stat.S_IMODE(data.stat().st_mode) == 0o750
    FILES.take_back(data, A)
    assert _owners(data) == {0}
    assert (data.stat().st_gid, stat.S_IMODE(data.stat().st_mode)) == (0, 0o700)


@root_only
def test_with_its_uid_a_server_changes_its_files_and_makes_none(data: Path) -> None:
    FILES.check(data, given=True)
    FILES.give(data, A)
    directory = os.open(data, os.O_RDONLY)  # the way there is closed to other accounts
    pid = os.fork()
    if pid == 0:
        os.fchdir(directory)
        os._exit(_tried(Path()))
    os.close(directory)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _tried(data: Path) -> int:
    """In the child, which has the server's uid: 0 if only what may be done could be done."""
    os.setgroups([])
    os.setresgid(A, A, A)
    os.setresuid(A, A, A)
    (data / "data.db").write_text("changed")
    os.fsync(os.open(data, os.O_RDONLY))
    attempts: list[Callable[[], object]] = [
        (data / "new").touch,
        (data / "directory").mkdir,
        (data / "data.db").unlink,
        lambda: (data / "data.db").rename(data / "other"),
        lambda: (data / "link").hardlink_to(data / "data.db"),
        lambda: data.chmod(0o777),
    ]
    for number, attempt in enumerate(attempts, start=1):
        try:
            attempt()
        except PermissionError:
            continue
        return number
    return 0


@root_only
def test_what_a_server_made_of_its_files_modes_is_undone(data: Path) -> None:
    FILES.check(data, given=True)
    FILES.give(data, A)
    (data / "data.db").chmod(0o4777)
    FILES.take_back(data, A)
    assert stat.S_IMODE((data / "data.db").stat().st_mode) == 0o600


@root_only
def test_another_users_file_is_neither_given_nor_taken(data: Path) -> None:
    os.chown(data / "data.db", B, B)
    with pytest.raises(VolumeDamagedError, match=f"uid {B}"):
        FILES.check(data, given=True)
    with pytest.raises(NotHandedOverError, match=f"uid {B}"):
        FILES.take_back(data, A)
    assert _owners(data) == {B}


@root_only
def test_a_file_with_two_names_is_not_given(data: Path, tmp_path: Path) -> None:
    (tmp_path / "backup").hardlink_to(data / "data.db")
    with pytest.raises(VolumeDamagedError, match="hard link"):
        FILES.check(data, given=True)
    FILES.check(data, given=False)  # nobody gets it


@root_only
def test_taking_back_what_was_given_in_part_and_again_changes_nothing_more(data: Path) -> None:
    """The wrapper may die at any step, and the next claim does it again."""
    FILES.check(data, given=True)
    for _ in every_death(lambda: FILES.give(data, A)):
        FILES.take_back(data, A)
        assert _owners(data) == {0}
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
    FILES.give(data, A)
    for _ in every_death(lambda: FILES.take_back(data, A)):
        assert stat.S_IMODE(data.stat().st_mode) in {0o700, 0o750}
    assert _owners(data) == {0}
    FILES.take_back(data, A)


def test_a_directory_of_a_servers_own_is_refused_when_it_is_over_its_bounds(data: Path) -> None:
    directory = Directory(Bounds(2, 1 << 20))
    directory.check(data, given=False)
    (data / "second").touch()
    directory.check(data, given=False)
    (data / "third").touch()
    with pytest.raises(VolumeOverLimitError, match=r"more than 2 files.*VOLUME_FILES"):
        directory.check(data, given=False)


@root_only
def test_of_a_directory_over_its_bounds_no_file_is_handed_over(data: Path) -> None:
    """So the time that it takes is bounded, too."""
    directory = Directory(Bounds(2, 1 << 20))
    directory.give(data, A)
    for number in range(5):
        (data / f"{number}").touch()
        os.chown(data / f"{number}", A, A)
    with pytest.raises(VolumeOverLimitError):
        directory.take_back(data, A)
    assert _owners(data) == {A}
