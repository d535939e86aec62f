"""What `standby enroll` gives a user, and what it refuses without leaving anything."""

import errno
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app_wrapper.volumes.hostpath import HostPathVolumes
from app_wrapper.volumes.hostpath_copies import HostPathCopies
from attestation import trust
from attestation.trust_files import KEY_FILE as POLICY_KEY_FILE
from attestation.trust_files import POLICY_FILE, ROOT_FILE
from smartgrid_server import database
from smartgrid_server.errors import StorageFullError
from standby import pki
from standby.ids import Uid
from standby.secret import Secret
from standby_cli import kept_policy
from standby_cli.errors import EnrollError
from standby_cli.layout import Layout
from standby_cli.main import cli
from tests.unit.standby_cli.states import program, simulated_trust


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "state")
    made.make()
    return made


def _enroll(layout: Layout, out: Path, *arguments: str) -> Result:
    begin = ["enroll", "alice", "--role", "customer", "--state-dir", str(layout.root)]
    return CliRunner().invoke(cli, [*begin, "--out", str(out), *arguments])


def test_the_policy_and_its_root_lie_beside_the_certificate(layout: Layout, tmp_path: Path) -> None:
    found = simulated_trust(layout)
    layout.policy.write_text(kept_policy.own(layout.policy.read_text()))
    out = tmp_path / "alice"
    done = _enroll(layout, out)
    assert (done.exit_code, done.stderr) == (0, "")
    assert trust.load(out / POLICY_FILE) == found
    assert (out / POLICY_FILE).read_bytes() == layout.policy.read_bytes()
    assert not (out / POLICY_KEY_FILE).exists()
    assert {"ca.pem", "client.pem", "db.key", ROOT_FILE} < {each.name for each in out.iterdir()}


_PAGES = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize(
    "page", ["how-to/help-a-user.md", "reference/README.md", "tutorial/first-steps.md"]
)
def test_every_list_of_what_a_user_needs_names_all_files(
    layout: Layout, tmp_path: Path, page: str
) -> None:
    simulated_trust(layout)
    assert _enroll(layout, tmp_path / "alice").exit_code == 0
    text = (_PAGES / page).read_text()
    for file in (tmp_path / "alice").iterdir():
        assert file.name in text


def test_enrolling_again_brings_the_new_policy(layout: Layout, tmp_path: Path) -> None:
    simulated_trust(layout)
    out = tmp_path / "alice"
    assert _enroll(layout, out).exit_code == 0
    layout.policy.write_text(program("b" * 64).policy(2))
    assert _enroll(layout, out, "--db-key", str(out / "db.key")).exit_code == 0
    assert trust.load(out / POLICY_FILE).policy.version == 2


def test_the_key_that_signs_newer_policies_lies_beside_the_policy_as_long_as_there_is_one(
    layout: Layout, tmp_path: Path
) -> None:
    simulated_trust(layout)
    layout.policy_key.write_text("the public key")
    out = tmp_path / "alice"
    assert _enroll(layout, out).exit_code == 0
    assert (out / POLICY_KEY_FILE).read_text() == "the public key"
    layout.policy_key.unlink()
    assert _enroll(layout, out, "--db-key", str(out / "db.key")).exit_code == 0
    assert not (out / POLICY_KEY_FILE).exists()


def test_with_intels_root_no_other_root_is_handed_out(layout: Layout, tmp_path: Path) -> None:
    text = program().policy(1).replace('"simulated"', '"intel"').replace("testing = true\n", "")
    layout.policy.write_text(text)
    assert _enroll(layout, tmp_path / "alice").exit_code == 0
    assert (tmp_path / "alice" / POLICY_FILE).read_text() == text
    assert not (tmp_path / "alice" / ROOT_FILE).exists()


def test_a_platform_without_a_policy_says_that_none_was_written(
    layout: Layout, tmp_path: Path
) -> None:
    done = _enroll(layout, tmp_path / "alice")
    assert done.exit_code == 0
    assert "no policy" in done.stderr
    assert "standby up" in done.stderr
    assert not (tmp_path / "alice" / POLICY_FILE).exists()


def test_a_new_volume_is_copied_before_any_session(layout: Layout, tmp_path: Path) -> None:
    """Also where copies of an earlier one of that name are left; what was imported would be lost with the first."""
    old = layout.copies / "alice" / "7"
    (old / "data").mkdir(parents=True)
    (old / "record").write_text('{"generation": 9, "taken": 1.0, "bytes": 0, "files": []}')
    assert _enroll(layout, tmp_path / "alice").exit_code == 0
    volumes = HostPathVolumes(layout.volumes)
    *_, newest = HostPathCopies(layout.copies, volumes).list(Uid("alice"))
    assert (newest.number, newest.generation) == (8, 0)
    content = (volumes.data(Uid("alice")) / database.FILE_NAME).read_bytes()
    assert (layout.copies / "alice/8/data" / database.FILE_NAME).read_bytes() == content


# --- what is refused


def _no_room(_file: Path, _key: Secret) -> None:
    raise StorageFullError("nothing of this request was stored")


@pytest.mark.parametrize(
    "refused",
    [
        ("--db-key", "{dir}/wrong.key"),
        ("--db-key", "{dir}/none.key"),
        ("--import", "{dir}/bad.csv"),
        (),
    ],
    ids=" ".join,
)
def test_a_refused_enrollment_leaves_no_directory(
    layout: Layout, tmp_path: Path, refused: tuple[str, ...]
) -> None:
    if "--import" not in refused:
        assert _enroll(layout, tmp_path / "alice").exit_code == 0
    (tmp_path / "wrong.key").write_text("00" * 32)
    (tmp_path / "none.key").write_text("no key")
    (tmp_path / "bad.csv").write_text("timestamp,power,impedance,tension\n1,2,3,4\n5,six,7,8\n")
    out = tmp_path / "new" / "directory"
    done = _enroll(layout, out, *(each.format(dir=tmp_path) for each in refused))
    assert isinstance(done.exception, EnrollError)
    assert not (tmp_path / "new").exists()


def test_a_refused_enrollment_changes_nothing_of_a_directory_that_was_there(
    layout: Layout, tmp_path: Path
) -> None:
    assert _enroll(layout, tmp_path / "alice").exit_code == 0
    before = {each: each.read_bytes() for each in (tmp_path / "alice").iterdir()}
    (tmp_path / "wrong.key").write_text("00" * 32)
    done = _enroll(layout, tmp_path / "alice", "--db-key", str(tmp_path / "wrong.key"))
    assert isinstance(done.exception, EnrollError)
    assert {each: each.read_bytes() for each in (tmp_path / "alice").iterdir()} == before


def test_without_room_for_the_database_it_is_said_which_file_system_is_full(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "create", _no_room)
    done = _enroll(layout, tmp_path / "alice")
    assert isinstance(done.exception, EnrollError)
    assert str(done.exception) == (
        f"there is no room for the database of alice on the file system of {layout.root}; make room there"
    )
    assert not (tmp_path / "alice").exists()
    assert not list(layout.root.glob(".enrolling-*"))


def test_where_the_files_cannot_be_written_the_key_of_the_database_stays(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as once:
        once.setattr(pki, "write_private", full)
        done = _enroll(layout, tmp_path / "alice")
    assert isinstance(done.exception, EnrollError)
    key = tmp_path / "alice" / "db.key"
    assert f"enroll again with --db-key {key}" in str(done.exception)
    assert _enroll(layout, tmp_path / "alice", "--db-key", str(key)).exit_code == 0
    assert _opens(layout, key)


def _opens(layout: Layout, key: Path) -> bool:
    file = HostPathVolumes(layout.volumes).data(Uid("alice")) / database.FILE_NAME
    return database.opens_with(file, Secret.from_hex(key.read_text(), 32))
