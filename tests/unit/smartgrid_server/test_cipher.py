"""How the database file is opened; what that protects is tried in tests/integration/smartgrid_server."""

import contextlib
from pathlib import Path

import pytest
from sqlcipher3 import dbapi2

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


@pytest.mark.parametrize(
    "statement",
    [
        "ATTACH ':memory:' AS other KEY ''",
        "VACUUM INTO '{copy}'",
        "PRAGMA rekey = 'x''00'''",
        "PRAGMA KEY = 'other'",
        "DETACH main",
        "SELECT sqlcipher_export('main')",
        "SELECT load_extension('{copy}')",
    ],
)
def test_data_cannot_be_written_elsewhere_or_under_another_key(file: Path, statement: str) -> None:
    copy = file.with_name("copy.db")
    with contextlib.closing(cipher.connect(file, secret())) as connection:
        with pytest.raises(
            dbapi2.DatabaseError, match=r"not authorized|prohibited|authorization denied"
        ):
            connection.execute(statement.format(copy=copy))
        assert connection.execute("SELECT count(*) FROM metrics").fetchone() == (0,)
    assert not copy.exists()
    assert not list(file.parent.glob("other*"))
    with contextlib.closing(cipher.connect(file, secret())):
        pass
