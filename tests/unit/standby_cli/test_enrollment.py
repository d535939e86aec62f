"""What `standby enroll` gives a user to verify servers by."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app_wrapper.volumes.hostpath import HostPathVolumes
from app_wrapper.volumes.hostpath_copies import HostPathCopies
from attestation import trust
from attestation.trust_files import POLICY_FILE, ROOT_FILE
from smartgrid_server import database
from standby.ids import Uid
from standby_cli import kept_policy
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
    assert (out / POLICY_FILE).read_text() == program().policy(1)
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
