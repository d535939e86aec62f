"""Where a platform's state is by default."""

import os
from pathlib import Path

import pytest

from standby.settings import SettingsError
from standby_cli import layout

NO_ACCOUNT = 3_999_999_999


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "STANDBY_STATE_DIR", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_a_number_without_an_account_and_without_a_home_is_told_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: NO_ACCOUNT)
    with pytest.raises(SettingsError, match=r"HOME names no directory .* --state-dir"):
        layout.default_directory()


@pytest.mark.parametrize("home", ["relative/home", "."])
def test_a_home_that_is_no_place_is_none(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", home)
    with pytest.raises(SettingsError, match="HOME names no directory"):
        layout.default_directory()


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"HOME": "/home/anna"}, "/home/anna/.local/state/standby"),
        ({"HOME": "/home/anna", "XDG_STATE_HOME": "/var/x"}, "/var/x/standby"),
        ({"HOME": "/home/anna", "XDG_STATE_HOME": "x"}, "/home/anna/.local/state/standby"),
        ({"STANDBY_STATE_DIR": "/srv/standby"}, "/srv/standby"),
    ],
)
def test_the_first_variable_that_names_a_place_counts(
    variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    assert layout.default_directory() == Path(expected)


def test_a_misspelt_variable_does_not_lead_to_another_platform(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", "/home/anna")
    monkeypatch.setenv("STANDBY_STATEDIR", "/srv/standby")
    with pytest.raises(SettingsError, match="did you mean STANDBY_STATE_DIR"):
        layout.default_directory()
