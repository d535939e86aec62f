"""Which settings a server needs, and what is said when one is missing."""

from pathlib import Path
from typing import Final

import pytest

from smartgrid_server.hardening import Rights
from smartgrid_server.settings import PREFIX, Settings, issuer_files
from standby.hardening import Layer, Outcome, Plan
from standby.settings import SettingsError, load

USERS: Final = {"SMARTGRID_CLIENT_AUTHORITIES": "/users.pem"}
FILES: Final = {
    "SMARTGRID_ISSUER_CERTIFICATE": "/issuer.pem",
    "SMARTGRID_ISSUER_KEY": "/issuer-key.pem",
}


@pytest.mark.parametrize("missing", FILES)
def test_without_a_channel_both_files_of_the_issuer_are_needed(missing: str) -> None:
    loaded = load(
        Settings, PREFIX, USERS | {name: FILES[name] for name in FILES if name != missing}
    )
    with pytest.raises(SettingsError, match=f"^{missing} is not set") as refused:
        issuer_files(loaded)
    assert "SMARTGRID_ATTEST_FD" in str(refused.value)
    assert all(name in str(refused.value) for name in FILES)


def test_the_files_are_those_that_are_set() -> None:
    loaded = load(Settings, PREFIX, USERS | FILES)
    assert issuer_files(loaded) == (Path("/issuer.pem"), Path("/issuer-key.pem"))


def test_an_empty_descriptor_is_none() -> None:
    """Which is how a wrapper says that there is no channel."""
    assert load(Settings, PREFIX, USERS | {"SMARTGRID_ATTEST_FD": ""}).attest_fd is None


@pytest.mark.parametrize(
    ("variables", "readable"),
    [
        (USERS, {"/users.pem"}),
        (USERS | FILES, {"/users.pem", "/issuer.pem", "/issuer-key.pem"}),
        (USERS | FILES | {"SMARTGRID_ATTEST_FD": "9"}, {"/users.pem"}),
    ],
)
def test_a_hardened_server_may_read_what_it_needs(
    variables: dict[str, str], readable: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plans: list[Plan] = []
    monkeypatch.setattr("smartgrid_server.hardening.rehearse", plans.append)
    Rights(()).rehearse(load(Settings, PREFIX, variables))
    assert {str(each) for each in plans[0].places.read_only} == readable


def test_what_was_given_up_is_said_even_if_it_is_nothing() -> None:
    off = load(Settings, PREFIX, USERS | {"SMARTGRID_HARDENING": "off"})
    rights = Rights(())
    rights.give_up(off)
    assert rights.outcomes() == dict.fromkeys(Layer, Outcome.OFF)
