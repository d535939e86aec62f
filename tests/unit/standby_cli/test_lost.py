"""Whatever a user or the operator has lost, the command that refuses names a way out, and that way works as printed."""

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner, Result

from app_wrapper.volumes.hostpath import HostPathVolumes
from attestation import trust
from attestation.trust_files import POLICY_FILE
from smartgrid_client import profile
from smartgrid_client.credentials import Credentials
from smartgrid_server import database
from standby.ids import Uid
from standby.secret import Secret
from standby.tls import TlsFiles
from standby_cli.errors import EnrollError, InSessionError
from standby_cli.layout import Layout
from standby_cli.main import cli
from tests.support.volume_contract import holder
from tests.unit.standby_cli.states import simulated_trust

ALICE = Uid("alice")
_ADVICE = re.compile(r"[(`](standby [^)`]+)[)`]")


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """Alice is enrolled, and her files are in the directory `alice`."""
    monkeypatch.setenv("STANDBY_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    made = Layout(tmp_path / "state")
    made.make()
    simulated_trust(made)
    assert _enroll("--out", "alice").exit_code == 0
    return made


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def _enroll(*arguments: str) -> Result:
    return _run("enroll", "alice", "--role", "customer", *arguments)


def _advice(refused: Result) -> list[list[str]]:
    """The commands that the text names, as a shell would give them to the program."""
    assert refused.exception is not None
    return [shlex.split(each)[1:] for each in _ADVICE.findall(str(refused.exception))]


def _database(layout: Layout) -> Path:
    return HostPathVolumes(layout.volumes).data(ALICE) / database.FILE_NAME


def _opens(layout: Layout, directory: str) -> bool:
    """The key in this directory opens the database, and the certificate there has its key beside it."""
    place = Path(directory)
    files = TlsFiles(
        certificate=place / profile.CERTIFICATE,
        key=place / profile.KEY,
        authorities=place / profile.AUTHORITIES,
    )
    assert Credentials.load(files).uid == ALICE
    assert trust.load(place / POLICY_FILE).policy.version == 1
    key = Secret.from_hex((place / "db.key").read_text(), 32)
    return database.opens_with(_database(layout), key)


_SPOILED: Final[dict[str, Callable[[bytes], bytes | None]]] = {
    "gone": lambda _content: None,
    "empty": lambda _content: b"",
    "cut": lambda content: content[:5000],
    "zeros": lambda content: bytes(len(content)),
}


def _spoil(layout: Layout, how: str) -> None:
    file = _database(layout)
    content = _SPOILED[how](file.read_bytes())
    file.unlink()
    if content is not None:
        file.write_bytes(content)


@pytest.mark.parametrize("how", ["gone", "empty", "cut", "zeros"])
def test_a_database_that_is_lost_comes_back_from_its_copy(layout: Layout, how: str) -> None:
    _spoil(layout, how)
    refused = _enroll("--db-key", "alice/db.key", "--out", "alice")
    assert isinstance(refused.exception, EnrollError)
    (restore,) = _advice(refused)
    assert restore[:2] == ["volumes", "restore"]
    assert _run(*restore).exit_code == 0
    assert _enroll("--db-key", "alice/db.key", "--out", "alice").exit_code == 0
    assert _opens(layout, "alice")


@pytest.mark.parametrize("how", ["gone", "empty", "zeros"])
def test_where_its_copies_are_lost_too_an_empty_one_takes_its_place(
    layout: Layout, how: str
) -> None:
    _spoil(layout, how)
    shutil.rmtree(layout.copies / ALICE)
    (restore,) = _advice(_enroll("--db-key", "alice/db.key", "--out", "alice"))
    refused = _run(*restore)
    _, begin_anew = _advice(refused)
    assert "--new-database" in begin_anew
    done = _run(*begin_anew, "--db-key", "alice/db.key", "--out", "alice")
    assert done.exit_code == 0, done.output
    assert "alice has an empty database now" in done.stderr
    assert _opens(layout, "alice")


def test_a_lost_volume_is_made_again_with_the_key_that_the_user_has(layout: Layout) -> None:
    shutil.rmtree(layout.volumes / ALICE)
    refused = _run("volumes", "restore", "alice")
    assert "enroll the user first" in str(refused.exception)
    refused = _enroll("--out", "alice")
    assert "pass it with --db-key" in str(refused.exception)
    assert _enroll("--out", "alice", "--db-key", "alice/db.key").exit_code == 0
    assert _opens(layout, "alice")
    assert _run("volumes", "restore", "alice", "--copy", "1").exit_code == 0


@pytest.mark.parametrize("file", ["client.pem", "client-key.pem", "ca.pem", "policy.toml"])
def test_a_lost_certificate_is_made_anew_with_the_users_key(layout: Layout, file: str) -> None:
    (Path("alice") / file).unlink()
    assert _enroll("--db-key", "alice/db.key", "--out", "alice").exit_code == 0
    assert _opens(layout, "alice")


def test_a_lost_key_loses_the_data_and_not_the_user(layout: Layout) -> None:
    Path("alice/db.key").rename("found-later.key")
    refused = _enroll("--out", "alice")
    assert isinstance(refused.exception, EnrollError)
    assert "--new-database" in str(refused.exception)
    assert not Path("alice/db.key").exists()
    done = _enroll("--out", "alice", "--new-database")
    assert done.exit_code == 0, done.output
    assert _opens(layout, "alice")
    (undo,) = [shlex.split(each)[1:] for each in _ADVICE.findall(done.stderr)]
    assert _run(*undo).exit_code == 0
    old = Secret.from_hex(Path("found-later.key").read_text(), 32)
    assert database.opens_with(_database(layout), old)


def test_a_new_database_can_be_filled(layout: Layout) -> None:
    Path("readings.csv").write_text("timestamp,power,impedance,tension\n60,1,2,3\n")
    done = _enroll("--out", "new", "--new-database", "--import", "readings.csv")
    assert done.exit_code == 0, done.output
    assert "readings.csv: 1 reading imported" in done.stderr
    assert _opens(layout, "new")


def test_no_database_is_exchanged_under_a_session(layout: Layout) -> None:
    volumes = HostPathVolumes(layout.volumes)
    claimed = volumes.claim(ALICE, holder())
    refused = _enroll("--out", "new", "--new-database")
    assert isinstance(refused.exception, InSessionError)
    assert ["down"] in _advice(refused)
    assert not Path("new").exists()
    assert _opens(layout, "alice")
    volumes.release(ALICE, claimed.generation)
    assert _enroll("--out", "new", "--new-database").exit_code == 0
    assert _opens(layout, "new")
    assert volumes.claim(ALICE, holder()).generation == claimed.generation + 1
    volumes.close()
