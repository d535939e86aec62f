import contextlib
import errno
import json
import os
import resource
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from app_wrapper.server_uids import FIRST
from app_wrapper.volumes import (
    ClaimedElsewhereError,
    Holder,
    UnknownUserError,
    VolumeExistsError,
    VolumeUnavailableError,
    orphans,
)
from app_wrapper.volumes.hostpath import HostPathVolumes
from standby.ids import LARGEST, Generation, Uid
from standby.processes import start_time
from tests.support.volume_contract import ANNA, BERT, OpenProvider, VolumeContract, holder

A, B = FIRST, FIRST + 1
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    volumes = HostPathVolumes(tmp_path / "volumes")
    volumes.create(ANNA)
    volumes.create(BERT)
    return tmp_path / "volumes"


class TestHostPath(VolumeContract):
    @pytest.fixture
    def open_provider(self, root: Path) -> Iterator[OpenProvider]:
        opened: list[HostPathVolumes] = []

        def open_one() -> HostPathVolumes:
            opened.append(HostPathVolumes(root))
            return opened[-1]

        yield open_one
        for each in opened:
            each.close()


@pytest.fixture
def provider(root: Path) -> Iterator[HostPathVolumes]:
    volumes = HostPathVolumes(root)
    yield volumes
    volumes.close()


def _mine() -> Holder:
    """Held for this very process, as a wrapper would hold it for a server."""
    return Holder(
        wrapper_id=holder().wrapper_id,
        epoch=holder().epoch,
        boot_id=holder().boot_id,
        pid=os.getpid(),
        start_time=start_time(os.getpid()),
    )


def _dead_claim(root: Path) -> None:
    """A claim whose record names this process: take it over only with an `end_orphan` that kills nobody."""
    dead = HostPathVolumes(root)
    dead.claim(ANNA, _mine())
    dead.close()


def test_a_volume_is_created_empty_and_private(tmp_path: Path) -> None:
    data = HostPathVolumes(tmp_path / "volumes").create(ANNA)
    assert list(data.iterdir()) == []
    assert data.parent.stat().st_mode & 0o777 == 0o700


def test_a_volume_is_created_with_contents(tmp_path: Path) -> None:
    contents = tmp_path / "contents"
    (contents / "deep").mkdir(parents=True)
    (contents / "deep/file").write_text("here")
    volumes = HostPathVolumes(tmp_path / "volumes")
    data = volumes.create(ANNA, contents)
    assert (data / "deep/file").read_text() == "here"
    assert data == volumes.data(ANNA)


def test_a_volume_is_created_once(provider: HostPathVolumes, root: Path) -> None:
    volume = provider.claim(ANNA, holder())
    (Path(volume.path) / "file").write_text("mine")
    with pytest.raises(VolumeExistsError):
        provider.create(ANNA)
    assert (Path(volume.path) / "file").read_text() == "mine"
    assert not list(root.glob(".new-*"))


def test_what_is_not_a_volume_is_not_listed(provider: HostPathVolumes, root: Path) -> None:
    (root / "Not A User").mkdir()
    (root / "half").mkdir()
    (root / "file").write_text("")
    assert [each.uid for each in provider.list()] == [ANNA, BERT]


def test_before_the_first_volume_there_is_none(tmp_path: Path) -> None:
    volumes = HostPathVolumes(tmp_path / "none")
    assert volumes.list() == []
    with pytest.raises(UnknownUserError):
        volumes.claim(ANNA, holder())


def test_the_orphan_is_ended_before_its_volume_is_claimed_again(root: Path) -> None:
    _dead_claim(root)
    ended = []

    def end(pid: int, started: int, _deadline: float) -> bool:
        ended.append((pid, started))
        assert (root / "anna/generation").read_text() == "1\n"  # nothing was claimed yet
        return True

    volumes = HostPathVolumes(root, end_orphan=end)
    assert volumes.claim(ANNA, holder(2)).generation == 2
    assert ended == [(os.getpid(), start_time(os.getpid()))]
    volumes.close()


def test_while_the_orphan_cannot_be_ended_nobody_gets_the_volume(root: Path) -> None:
    _dead_claim(root)
    volumes = HostPathVolumes(root, end_orphan=lambda *_: False)
    with pytest.raises(VolumeUnavailableError, match="cannot be ended"):
        volumes.claim(ANNA, holder(2))
    assert volumes.recover(holder().wrapper_id) == []
    assert (root / "anna/generation").read_text() == "1\n"
    later = HostPathVolumes(root, end_orphan=lambda *_: True)
    assert later.claim(ANNA, holder(3)).generation == 2
    later.close()


def test_after_the_machine_was_restarted_a_recorded_pid_means_nobody(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _dead_claim(root)

    def never(*_: object) -> bool:
        raise AssertionError("an innocent process would have been killed")

    monkeypatch.setattr(orphans, "machine", lambda: "another start")
    volumes = HostPathVolumes(root, end_orphan=never)
    assert volumes.claim(ANNA, holder(2)).generation == 2
    volumes.close()


def test_a_process_that_is_not_the_one_recorded_is_spared() -> None:
    mine = start_time(os.getpid())
    assert mine is not None
    assert orphans.end(os.getpid(), mine + 1, 0.1)


@pytest.mark.parametrize("name", ["generation", "claim"])
def test_a_damaged_file_makes_the_volume_unavailable_and_burns_no_generation(
    provider: HostPathVolumes, root: Path, name: str
) -> None:
    (root / "anna" / name).write_text("???\n")
    with pytest.raises(VolumeUnavailableError):
        provider.claim(ANNA, holder())
    (root / "anna" / name).write_text("0\n" if name == "generation" else "")
    assert provider.claim(ANNA, holder()).generation == 1


@pytest.mark.parametrize("content", [str(10**26), "9" * 5000, "-1", "1e3", str(2**53)])
def test_a_generation_that_nobody_counted_is_one_clear_error(
    provider: HostPathVolumes, root: Path, content: str
) -> None:
    (root / "anna/generation").write_text(content)
    with pytest.raises(VolumeUnavailableError, match="'generation' is damaged; write a number"):
        provider.claim(ANNA, holder())
    assert (root / "anna/generation").read_text() == content


def test_nothing_follows_the_last_generation(provider: HostPathVolumes, root: Path) -> None:
    (root / "anna/generation").write_text(str(LARGEST - 1))
    assert provider.claim(ANNA, holder()).generation == LARGEST
    provider.release(ANNA, Generation(LARGEST))
    with pytest.raises(VolumeUnavailableError, match="cannot have been counted"):
        provider.claim(ANNA, holder(2))


@pytest.mark.parametrize(
    "field",
    [{"pid": -1}, {"pid": 0}, {"generation": 10**26}, {"server_uid": -1}, {"start_time": -1}],
)
def test_a_claim_record_that_names_no_process_is_damaged(
    provider: HostPathVolumes, root: Path, field: dict[str, int]
) -> None:
    _dead_claim(root)
    claim = json.loads((root / "anna/claim").read_text())
    (root / "anna/claim").write_text(json.dumps(claim | field))
    with pytest.raises(VolumeUnavailableError, match="claim record is damaged"):
        provider.claim(ANNA, holder(2))


def test_a_lost_generation_is_not_guessed(provider: HostPathVolumes, root: Path) -> None:
    (root / "anna/generation").unlink()
    with pytest.raises(VolumeUnavailableError):
        provider.claim(ANNA, holder())


def test_a_record_ahead_of_the_generation_is_believed(
    provider: HostPathVolumes, root: Path
) -> None:
    """The generation only grows, also when one of the two files was restored from somewhere."""
    dead = HostPathVolumes(root)
    dead.claim(ANNA, holder())
    dead.close()
    (root / "anna/generation").write_text("0\n")
    assert provider.claim(ANNA, holder(2)).generation == 2


def test_a_shorter_record_leaves_nothing_of_a_longer_one(
    provider: HostPathVolumes, root: Path
) -> None:
    provider.claim(ANNA, holder(1, wrapper="a-wrapper-with-quite-a-long-name"))
    provider.release(ANNA, Generation(1))
    assert (root / "anna/claim").read_bytes() == b"\n"


def test_when_nothing_can_be_written_nothing_is_claimed(
    provider: HostPathVolumes, root: Path
) -> None:
    (root / "anna/.generation").mkdir()  # what a full or read-only disk does to the write
    with pytest.raises(VolumeUnavailableError):
        provider.claim(ANNA, holder())
    (root / "anna/.generation").rmdir()
    assert provider.claim(ANNA, holder()).generation == 1


def test_of_many_claims_at_the_same_time_one_wins(root: Path) -> None:
    providers = [HostPathVolumes(root) for _ in range(2)]
    won: list[Generation] = []
    lost: list[str | None] = []
    together = threading.Barrier(8)

    def claim(number: int) -> None:
        together.wait()
        try:
            won.append(providers[number % 2].claim(Uid("anna"), holder(number)).generation)
        except ClaimedElsewhereError as error:
            lost.append(error.boot_id)

    threads = [threading.Thread(target=claim, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in providers:
        each.close()
    assert (won, len(lost)) == ([1], 7)


def _for(server_uid: int | None, number: int = 1) -> Holder:
    return msgspec.structs.replace(holder(number), server_uid=server_uid)


def _rights(root: Path) -> dict[str, tuple[int, int, int]]:
    """Owner, group and mode of anna's volume and all that is in it."""
    top = root / "anna"
    found = {str(each.relative_to(root)): each.lstat() for each in (top, *top.rglob("*"))}
    return {
        name: (each.st_uid, each.st_gid, stat.S_IMODE(each.st_mode)) for name, each in found.items()
    }


def _written(volume: str, *names: str) -> None:
    for name in names:
        (Path(volume) / name).write_text("data")


_OWN_FILES = {"anna/claim": (0, 0, 0o600), "anna/generation": (0, 0, 0o600)}
_TAKEN_BACK = {"anna": (0, 0, 0o700), "anna/data": (0, 0, 0o700), **_OWN_FILES}


@root_only
def test_data_is_the_servers_and_the_rest_is_roots(provider: HostPathVolumes, root: Path) -> None:
    _written(str(provider.data(ANNA)), "smartgrid.db", "smartgrid.db-wal", "smartgrid.db-shm")
    provider.claim(ANNA, _for(A))
    assert _rights(root) == {
        "anna": (0, A, 0o710),
        "anna/data": (A, A, 0o700),
        "anna/data/smartgrid.db": (A, A, 0o600),
        "anna/data/smartgrid.db-wal": (A, A, 0o600),
        "anna/data/smartgrid.db-shm": (A, A, 0o600),
        **_OWN_FILES,
    }


@root_only
def test_a_release_takes_back_what_the_server_had_and_made(
    provider: HostPathVolumes, root: Path
) -> None:
    volume = provider.claim(ANNA, _for(A))
    _written(volume.path, "smartgrid.db")
    os.chown(Path(volume.path) / "smartgrid.db", A, A)
    provider.release(ANNA, volume.generation)
    assert _rights(root) == {**_TAKEN_BACK, "anna/data/smartgrid.db": (0, 0, 0o600)}


@root_only
def test_without_a_uid_of_the_servers_nothing_changes(
    provider: HostPathVolumes, root: Path
) -> None:
    (root / "anna").chmod(0o755)
    os.chown(root / "anna/data", B, B)
    before = _rights(root)
    volume = provider.claim(ANNA, _for(None))
    assert _rights(root) == before
    provider.release(ANNA, volume.generation)
    assert _rights(root) == before


@root_only
@pytest.mark.parametrize("next_uid", [A, B, None])
def test_after_a_crash_the_next_claim_begins_anew(root: Path, next_uid: int | None) -> None:
    """Also one that was in the middle of handing over."""
    dead = HostPathVolumes(root)
    volume = dead.claim(ANNA, _for(A))
    _written(volume.path, "half", "done")
    os.chown(Path(volume.path) / "half", A, A)
    dead.close()
    provider = HostPathVolumes(root)
    again = provider.claim(ANNA, _for(next_uid, 2))
    owner = next_uid or 0
    assert {_rights(root)[f"anna/data{each}"][0] for each in ("", "/half", "/done")} == {owner}
    provider.release(ANNA, again.generation)
    assert {owner for owner, _, _ in _rights(root).values()} == {0}
    assert _rights(root)["anna"] == (0, 0, 0o700)
    provider.close()


@root_only
def test_recovering_takes_back(root: Path) -> None:
    dead = HostPathVolumes(root)
    dead.claim(ANNA, _for(A))
    dead.close()
    provider = HostPathVolumes(root)
    assert provider.recover(holder().wrapper_id) == [ANNA]
    assert _rights(root) == _TAKEN_BACK
    provider.close()


@root_only
@pytest.mark.parametrize("planted", ["another user's", "hard link"])
def test_what_may_not_be_given_denies_the_claim_and_changes_nothing(
    provider: HostPathVolumes, root: Path, planted: str
) -> None:
    outside = root.parent / "outside"
    outside.write_text("another user's")
    if planted == "hard link":
        (root / "anna/data/file").hardlink_to(outside)
    else:
        _written(str(provider.data(ANNA)), "file")
        os.chown(root / "anna/data/file", B, B)
    before = _rights(root)
    with pytest.raises(VolumeUnavailableError, match=r"hard link|belongs to uid"):
        provider.claim(ANNA, _for(A))
    assert _rights(root) == before
    assert (root / "anna/generation").read_text() == "0\n"
    (root / "anna/data/file").unlink()
    assert provider.claim(ANNA, _for(A)).generation == 1


@root_only
def test_what_a_server_has_planted_keeps_its_volume_from_the_next_one(root: Path) -> None:
    """Not released and not given away again, until somebody has looked; nobody gets at it meanwhile."""
    outside = root.parent / "outside"
    outside.write_text("root's")
    provider = HostPathVolumes(root)
    volume = provider.claim(ANNA, _for(A))
    planted = Path(volume.path) / "planted"
    planted.hardlink_to(outside)
    with pytest.raises(VolumeUnavailableError, match="hard link"):
        provider.release(ANNA, volume.generation)
    assert _rights(root)["anna"] == (0, 0, 0o700)
    with pytest.raises(VolumeUnavailableError, match="hard link"):
        provider.claim(ANNA, _for(B, 2))
    assert outside.stat().st_uid == 0
    planted.unlink()
    assert provider.claim(ANNA, _for(B, 2)).generation == 2
    provider.close()


@root_only
def test_when_handing_over_fails_halfway_all_is_taken_back(
    provider: HostPathVolumes, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on storage that does not let even root give files away."""
    _written(str(provider.data(ANNA)), "file")
    really = os.fchown

    def refuse_files(descriptor: int, uid: int, gid: int) -> None:
        if uid == A and not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EPERM, "not here")
        really(descriptor, uid, gid)

    monkeypatch.setattr(os, "fchown", refuse_files)
    with pytest.raises(VolumeUnavailableError, match="Operation not permitted"):
        provider.claim(ANNA, _for(A))
    assert _rights(root) == {**_TAKEN_BACK, "anna/data/file": (0, 0, 0o600)}
    assert provider.list()[0].holder is None


@root_only
def test_the_volumes_can_be_passed_and_nothing_in_them_seen(tmp_path: Path) -> None:
    data = HostPathVolumes(tmp_path / "volumes").create(ANNA)
    modes = [stat.S_IMODE(each.stat().st_mode) for each in (tmp_path / "volumes", data.parent)]
    assert modes == [0o711, 0o700]


def test_a_record_of_before_servers_had_uids_is_understood(root: Path) -> None:
    dead = HostPathVolumes(root)
    dead.claim(ANNA, holder())
    dead.close()
    claim = root / "anna/claim"
    claim.write_text(claim.read_text().replace('"server_uid":null,', ""))
    assert "server_uid" not in claim.read_text()
    provider = HostPathVolumes(root)
    assert provider.claim(ANNA, holder(2)).generation == 2
    provider.close()


def test_a_full_table_of_descriptors_is_told_as_that_and_by_no_file(
    provider: HostPathVolumes, caplog: pytest.LogCaptureFixture
) -> None:
    """However many are left: each of them is another place at which the claim fails."""
    taken, soft = [], resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, soft[1]))
    told: list[str] = []
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        for _ in range(10):
            try:
                provider.claim(ANNA, holder())
                break
            except VolumeUnavailableError as error:
                told.append(str(error))
            os.close(taken.pop())
    finally:
        for each in taken:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, soft)
    assert told, "there was none left at first"
    why = "this process has no file descriptors left; raise its limit (ulimit -n)"
    assert set(told) == {f"the volume of anna cannot be used now: {why}"}
    assert {(each.levelname, each.msg) for each in caplog.records} == {
        ("ERROR", "volume_not_usable")
    }
    assert provider.list()[0].holder is not None, "claimed once there was room"


def test_an_error_of_the_system_is_told_in_words_without_a_path(
    root: Path, provider: HostPathVolumes
) -> None:
    (root / ANNA / "generation").unlink()
    (root / ANNA / "generation").mkdir()
    with pytest.raises(VolumeUnavailableError) as raised:
        provider.claim(ANNA, holder())
    assert str(raised.value) == "the volume of anna cannot be used now: Is a directory"
