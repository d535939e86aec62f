"""A user's directory is all that the client needs."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from smartgrid_client import main as client
from smartgrid_client import profile
from smartgrid_client.options import Mode
from smartgrid_client.profile import Profile

PROFILE = Profile(server="meters.example", port=8443, user="alice", role="meter")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    profile.write(tmp_path, PROFILE)
    for name in (profile.CERTIFICATE, profile.KEY, profile.AUTHORITIES):
        (tmp_path / name).write_text("")
    return tmp_path


def _given(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> dict[str, object]:
    """The values that the command is run with."""
    given: dict[str, object] = {}
    monkeypatch.setattr(client.main, "callback", given.update)
    done = CliRunner().invoke(client.main, [str(each) for each in arguments])
    assert done.exit_code == 0, done.output
    return given


def test_what_is_written_is_read(directory: Path) -> None:
    assert profile.read(directory) == PROFILE


def test_a_profile_gives_every_option_that_says_where_and_who(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = _given(monkeypatch, "--profile", directory)
    assert given["server"] == "meters.example"
    assert given["port"] == 8443
    assert given["uid"] == "alice"
    assert given["mode"] is Mode.METER
    assert given["cert"] == directory / "client.pem"
    assert given["private_key"] == directory / "client-key.pem"
    assert given["authorities"] == directory / "ca.pem"
    assert given["keydir"] == directory


def test_what_is_given_on_the_command_line_counts_wherever_it_stands(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = _given(monkeypatch, "--port", "9443", "-profile", directory, "--mode", "2")
    assert given["port"] == 9443
    assert given["mode"] is Mode.CUSTOMER
    assert given["server"] == "meters.example"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "holds no profile (profile.toml: No such file or directory)"),
        ("server = 1", "profile.toml cannot be used"),
        ('server = "s"\nport = 70000\nuser = "a"\nrole = "meter"', "port"),
        ('server = "s"\nport = 1\nuser = "a"\nrole = "operator"', "role"),
        ('server = "s"\nport = 1\nuser = "a"\nrole = "meter"\ncert = "other"', "cert"),
        ("server = \xff", "profile.toml cannot be used"),
        ("#" * 5000, "profile.toml cannot be used"),
    ],
)
def test_a_profile_that_cannot_be_used_says_what_is_wrong(
    text: str | None, said: str, tmp_path: Path
) -> None:
    if text is not None:
        (tmp_path / profile.FILE).write_bytes(text.encode("latin-1"))
    done = CliRunner().invoke(client.main, ["--profile", str(tmp_path)])
    assert done.exit_code == click.UsageError.exit_code
    assert said in " ".join(done.output.split())
