"""`standby volumes`, from a state directory to what is printed and the exit status."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app_wrapper.volumes.hostpath import HostPathVolumes
from app_wrapper.volumes.hostpath_copies import HostPathCopies
from standby_cli.layout import Layout
from standby_cli.main import cli
from tests.support.copies_contract import Both, copied, session
from tests.support.volume_contract import ANNA, BERT, holder


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "state")
    made.make()
    return made


@pytest.fixture
def both(layout: Layout) -> Both:
    """Anna and bert have volumes; anna's was copied twice."""
    volumes = HostPathVolumes(layout.volumes)
    made = volumes, HostPathCopies(layout.copies, volumes)
    for uid in (ANNA, BERT):
        volumes.create(uid)
    for each in ("good", "bad"):
        copied(made, each)
    return made


def _run(layout: Layout, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["volumes", *arguments, "--state-dir", str(layout.root)])


def _status(layout: Layout, *arguments: str) -> int:
    """As the console script ends."""
    result = _run(layout, *arguments)
    return getattr(result.exception, "exit_status", result.exit_code)


def _data(layout: Layout, *arguments: str) -> Any:
    done = _run(layout, *arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.mark.usefixtures("both")
def test_the_list_names_every_user_with_copies_and_without(layout: Layout) -> None:
    anna, bert = _data(layout, "list")
    assert (anna["user"], anna["generation"], len(anna["copies"])) == ("anna", 2, 2)
    assert (bert["user"], bert["generation"], bert["copies"]) == ("bert", 0, [])
    header, *rows = _run(layout, "list").stdout.splitlines()
    assert header.split()[:2] == ["user", "generation"]
    assert rows[1].split() == ["bert", "0", "0", "0", "none"]


def test_who_has_a_volume_is_named(layout: Layout, both: Both) -> None:
    both[0].claim(ANNA, holder(7))
    assert _data(layout, "show", "anna")["held_by"] == holder(7).boot_id
    assert holder(7).boot_id in _run(layout, "list").stdout
    assert holder(7).boot_id in _run(layout, "show", "anna").stdout


@pytest.mark.usefixtures("both")
def test_a_restore_says_what_it_did_and_how_to_undo_it(layout: Layout) -> None:
    done = _run(layout, "restore", "anna")
    assert done.exit_code == 0
    assert done.stdout.startswith("anna's data is that of copy 1, made at ")
    assert "--accept-older-data" in done.stderr
    assert "standby volumes restore anna --copy 2" in done.stderr
    assert (layout.volumes / "anna/data/file").read_text() == "good"
    assert _status(layout, "restore", "anna", "--copy", "2") == 0
    assert (layout.volumes / "anna/data/file").read_text() == "bad"


def test_copies_that_restores_have_made_are_named(layout: Layout, both: Both) -> None:
    session(both, "never copied", closed=False)
    restored = _data(layout, "restore", "anna", "--copy", "1")
    assert (restored["restored"]["number"], restored["replaced"]["number"]) == (1, 3)
    *_, replaced, newest = _data(layout, "show", "anna")["copies"]
    assert (replaced["replaced"], newest["restored"]) == (True, 1)
    shown = _run(layout, "show", "anna").stdout
    assert "replaced by a restore" in shown
    assert "copy 1, restored" in shown


def test_what_is_to_be_discarded_is_not_kept(layout: Layout, both: Both) -> None:
    session(both, "never copied", closed=False)
    assert _data(layout, "restore", "anna", "--copy", "1", "--discard")["replaced"] is None


def test_a_user_with_a_session_is_left_alone_with_a_status_of_its_own(
    layout: Layout, both: Both
) -> None:
    both[0].claim(ANNA, holder())
    assert _status(layout, "restore", "anna") == 8
    assert (layout.volumes / "anna/data/file").read_text() == "bad"


@pytest.mark.usefixtures("both")
@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (("show", "carla"), 1, "there is no volume of carla"),
        (("restore", "carla"), 1, "there is no volume of carla"),
        (("restore", "bert"), 1, "no copy"),
        (("restore", "anna", "--copy", "9"), 1, "no copy 9"),
        (("restore", "anna", "--copy", "0"), 2, "--copy"),
        (("restore", "Not A User"), 2, "DNS label"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    layout: Layout, arguments: tuple[str, ...], status: int, text: str
) -> None:
    result = _run(layout, *arguments)
    assert status in {getattr(result.exception, "exit_status", None), result.exit_code}
    assert text in f"{result.output}{result.exception}"


def test_where_nobody_is_enrolled_the_list_is_empty(layout: Layout) -> None:
    assert _data(layout, "list") == []
