"""How the database file is opened; what that protects is tried in tests/integration/smartgrid_server."""

import contextlib
from pathlib import Path

import pytest

from smartgrid_server import cipher, database
from smartgrid_server.errors import DatabaseInUseError
from tests.support.smartgrid import secret

_FULL = 2
"""https://www.sqlite.org/pragma.html#pragma_synchronous"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    database.create(tmp_path / "d.db", secret())
    return tmp_path / "d.db"


def test_a_commit_waits_for_the_disk(file: Path) -> None:
    with contextlib.closing(cipher.connect(file, secret())) as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (_FULL,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_second_process_would_be_refused_whatever_the_claims_say(file: Path) -> None:
    with (
        contextlib.closing(cipher.connect(file, secret())),
        pytest.raises(DatabaseInUseError),
    ):
        cipher.connect(file, secret())
