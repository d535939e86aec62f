"""Whether a directory can hold a platform's state."""

import errno
import os
import stat
from pathlib import Path

import pytest

from standby_cli import places
from standby_cli.errors import ConfigurationError
from standby_cli.places import Account, Step

ROOT = Account(uid=0, gid=0)
ANNA = Account(uid=1000, gid=1000)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to other accounts")


def _directory(uid: int, mode: int, gid: int = 0) -> Step:
    return Step(Path("/some/place"), uid, gid, stat.S_IFDIR | mode)


def _link(uid: int) -> Step:
    return Step(Path("/some/link"), uid, 0, stat.S_IFLNK | 0o777)


@pytest.mark.parametrize(
    ("step", "account"),
    [
        (_directory(0, 0o755), ROOT),
        (_directory(0, 0o755), ANNA),
        (_directory(1000, 0o700), ANNA),
        (_directory(1000, 0o775, gid=1000), ANNA),  # a group of one's own, as most systems make it
        (_directory(0, 0o775, gid=0), ROOT),
        (_directory(0, 0o1777), ROOT),
        (_link(0), ROOT),
        (_link(1000), ANNA),
        (_directory(65534, 0o755), Account(uid=0, gid=0, unmapped=True)),
    ],
)
def test_a_way_that_only_root_and_the_account_can_change_is_good(
    step: Step, account: Account
) -> None:
    assert places.foreign([step], account) is None


@pytest.mark.parametrize(
    ("step", "account", "says"),
    [
        (_directory(1000, 0o755), ROOT, "belongs to"),
        (_directory(1001, 0o755), ANNA, "belongs to uid 1001"),
        (_directory(1001, 0o1777), ANNA, "belongs to uid 1001"),
        (_link(1001), ROOT, "/some/link belongs to uid 1001"),
        (_directory(0, 0o777), ROOT, "(mode 0777) can be written by every account"),
        (_directory(0, 0o775, gid=50), ROOT, "(mode 0775) can be written by group 50"),
        (_directory(1000, 0o775, gid=50), ANNA, "can be written by group 50"),
        (_directory(65534, 0o755), ROOT, "belongs to"),
    ],
)
def test_a_way_that_another_account_can_change_is_named(
    step: Step, account: Account, says: str
) -> None:
    why = places.foreign([_directory(0, 0o755), step], account)
    assert why is not None
    assert why.startswith(str(step.path))
    assert says in why


@as_root
@pytest.mark.parametrize("which", ["above", "itself", "link", "behind a link"])
def test_what_another_account_owns_is_refused(which: str, tmp_path: Path) -> None:
    theirs, place = tmp_path / "theirs", tmp_path / "theirs" / "state"
    theirs.mkdir()
    if which == "above":
        os.chown(theirs, 12345, 12345)
    elif which == "itself":
        place.mkdir()
        os.chown(place, 12345, 12345)
    else:
        (tmp_path / "elsewhere").mkdir()
        place.symlink_to(tmp_path / "elsewhere")
        target = place if which == "link" else tmp_path / "elsewhere"
        os.chown(target, 12345, 12345, follow_symlinks=False)
    with pytest.raises(ConfigurationError, match="belongs to uid 12345") as raised:
        places.refuse_foreign(place)
    assert "--state-dir" in str(raised.value)
    assert raised.value.exit_status == 78


def test_a_place_of_ones_own_is_good_whether_or_not_it_is_there(tmp_path: Path) -> None:
    places.refuse_foreign(tmp_path)
    places.refuse_foreign(tmp_path / "not" / "there")


def test_a_loop_of_links_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(ConfigurationError, match="loop/state cannot be used: a link in it leads"):
        places.refuse_foreign(tmp_path / "loop" / "state")


def test_a_usual_file_system_does_what_is_needed_and_nothing_is_left(tmp_path: Path) -> None:
    places.refuse_useless(tmp_path / "made" / "for it", room=4096)
    assert list((tmp_path / "made" / "for it").iterdir()) == []
    assert stat.S_IMODE((tmp_path / "made" / "for it").stat().st_mode) == 0o700


def test_a_file_system_without_room_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="MiB and 2000 files do not fit there: "):
        places.refuse_useless(tmp_path, room=1 << 60)
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_made_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="directories cannot be made there: "):
        places.refuse_useless(Path("/proc/state"))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("_locks", "files cannot be locked"),
        ("_keeps_modes", "modes of files are not kept"),
        ("_links", "files cannot be given a second name"),
        ("_maps", "files cannot be shared in memory"),
        ("_makes_sockets", "sockets cannot be made"),
    ],
)
def test_what_a_file_system_cannot_do_is_named(
    name: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_scratch: Path) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(places, name, refuse)
    with pytest.raises(ConfigurationError, match=f"{says} there: Operation not supported;"):
        places.refuse_useless(tmp_path, room=4096)
