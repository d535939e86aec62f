"""Where a client keeps what it knows of the data, and what it tells of it."""

from pathlib import Path

import msgspec
import pytest

from smartgrid_client.freshness import Memory, file_for, load
from smartgrid_client.messages import Freshness, LoggedOut, Login
from smartgrid_client.requests import login
from standby.secret import Secret

KNOWN = Freshness(generation=5, tag=b"\x0f" * 32)
KEY = Secret(b"\x5e" * 32)


def reply(generation: int, freshness: str | None, text: str = "") -> Login:
    return Login(
        token="t",
        expires_in=600,
        boot_id="00000000000000ab",
        generation=generation,
        freshness=freshness,
        freshness_text=text,
    )


def test_the_file_is_with_the_key(tmp_path: Path) -> None:
    assert file_for(tmp_path) == tmp_path / "freshness.json"
    assert file_for(tmp_path / "db.key") == tmp_path / "freshness.json"
    assert file_for(tmp_path / "bob.key") == tmp_path / "bob.key.freshness.json"


@pytest.mark.parametrize(
    "text", ["", "{}", '{"generation": 5, "tag": "AA=="}', '{"generation": -1, "tag": ""}', "ÿ"]
)
def test_a_damaged_file_is_not_taken_for_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "freshness.json"
    assert load(file) is None
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match="remove it if that is meant"):
        load(file)


async def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "freshness.json"
    memory = Memory(file, pytest.fail)
    await memory.logged_out(LoggedOut(freshness=KNOWN))
    await memory.logged_out(LoggedOut())
    assert memory.kept == Memory(file, pytest.fail).kept == KNOWN


@pytest.mark.parametrize(
    ("generation", "freshness", "kept", "said"),
    [
        (1, "unknown", None, False),
        (2, "unknown", None, True),
        (1, "unknown", KNOWN, True),
        (6, "unknown", KNOWN, True),
        (6, "verified", KNOWN, False),
        (6, None, KNOWN, False),
    ],
)
def test_only_the_very_first_login_is_quiet_about_unknown_data(
    tmp_path: Path, generation: int, freshness: str | None, kept: Freshness | None, *, said: bool
) -> None:
    told: list[str] = []
    memory = Memory(tmp_path / "freshness.json", told.append)
    memory.kept = kept
    memory.logged_in(reply(generation, freshness, "why"))
    assert told == (["freshness of the data is unknown: why"] if said else [])


def test_a_login_says_only_what_there_is_to_say() -> None:
    plain, full = login(KEY), login(KEY, KNOWN, accept_older=True)
    assert plain.body is not None
    assert full.body is not None
    assert set(msgspec.json.decode(plain.body)) == {"key", "login_id"}
    said = msgspec.json.decode(full.body)
    assert said["accept_older"] is True
    assert said["freshness"] == {"generation": 5, "tag": "Dw8P" * 10 + "Dw8="}
