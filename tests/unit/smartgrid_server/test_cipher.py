"""How the database file is opened; what that protects is tried in tests/integration/smartgrid_server."""

import contextlib
import errno
import logging
from pathlib import Path

import pytest
from sqlcipher3 import dbapi2

from smartgrid_server import cipher, database
from smartgrid_server.cipher import KeyMemory
from smartgrid_server.errors import DatabaseInUseError, KeyMemoryError, WrongKeyError
from standby.locked import LockedKey
from standby.secret import Secret
from tests.support.smartgrid import KEY, OTHER_KEY, secret

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


@pytest.fixture
def nothing_to_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_size: int) -> LockedKey:
        raise OSError(errno.ENOMEM, "no memory to lock")

    monkeypatch.setattr(cipher, "LockedKey", none)


def test_a_key_is_written_for_sqlcipher_in_locked_memory_that_is_closed_afterwards() -> None:
    with KeyMemory(required=True).text_of(secret()) as text:
        assert bytes(text) == f"x'{KEY}'".encode()
        assert isinstance(text, memoryview)
    with pytest.raises(ValueError, match="released"):
        bytes(text)


@pytest.mark.usefixtures("nothing_to_lock")
def test_without_locked_memory_it_is_an_ordinary_buffer_and_one_warning(
    caplog: pytest.LogCaptureFixture, file: Path
) -> None:
    memory = KeyMemory()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            with memory.text_of(secret()) as text:
                assert bytes(text) == f"x'{KEY}'".encode()
            assert bytes(text) == bytes(67)
        cipher.connect(file, secret(), memory=memory).close()
    assert [each.message for each in caplog.records] == ["key_memory_not_locked"]


@pytest.mark.usefixtures("nothing_to_lock")
def test_without_locked_memory_nothing_is_opened_where_it_is_required(file: Path) -> None:
    with pytest.raises(KeyMemoryError):
        cipher.connect(file, secret(), memory=KeyMemory(required=True))


def test_the_buffer_is_overwritten_when_opening_fails(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[memoryview | bytearray] = []
    write = cipher._with_raw_key

    def remembered(text: memoryview, key: Secret) -> memoryview:
        seen.append(write(text, key))
        return text

    monkeypatch.setattr(cipher, "_with_raw_key", remembered)
    with pytest.raises(WrongKeyError):
        cipher.connect(file, secret(OTHER_KEY))
    with pytest.raises(ValueError, match="released"):
        bytes(seen[0])


def test_opening_and_closing_changes_nothing_of_the_file(file: Path) -> None:
    before = file.read_bytes()
    cipher.connect(file, secret()).close()
    assert file.read_bytes() == before
