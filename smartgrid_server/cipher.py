"""Keyed connections to SQLCipher files, and what their failures mean.

The key is 32 random bytes and goes in raw form to `set_key`, in locked memory (`standby.locked`) that is wiped
afterwards. SQLCipher takes exactly the bytes `x'<64 hex digits>'` for a raw key; 32 bare bytes would be a passphrase,
stretched for 100 ms. What SQLCipher copies from there is its own.
Rejected: `PRAGMA key`, which leaves copies of the key all over the process's memory.

A connection, once it is open, cannot be made to write its data elsewhere or under another key: ATTACH (which VACUUM
INTO uses), DETACH, the key pragmas, sqlcipher_export and load_extension are refused when a statement is prepared. No
statement of ours contains any of them; this holds for the ones that nobody meant to write.

A wrong key and a damaged first page look the same to SQLCipher (neither decrypts). Each page carries its own HMAC
though, so a key that fits any other page is right and the first page is damaged. Not told apart: damage of the first 16
bytes of the file (the salt, from which the HMAC key is derived), which looks like a wrong key.
"""

import contextlib
import hashlib
import hmac
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlcipher3 import dbapi2

from smartgrid_server.errors import (
    DatabaseDamagedError,
    DatabaseError,
    DatabaseInUseError,
    DatabaseMissingError,
    KeyMemoryError,
    NotEnoughMemoryError,
    StorageFailedError,
    StorageFullError,
    WrongKeyError,
)
from standby.errors import PlatformError
from standby.locked import LockedKey
from standby.logs import EventLog
from standby.secret import Secret

log = EventLog(__name__)
PAGE: Final = 4096
_SALT: Final = 16
_HMAC: Final = 64
_HMAC_SALT_MASK: Final = 0x3A
_HMAC_ROUNDS: Final = 2
"""SQLCipher 4's layout of a page and derivation of the HMAC key from a raw key."""

_REMEDY: Final = (
    "the operator can restore the last copy that was closed (standby volumes restore UID)"
)

# https://www.sqlite.org/rescode.html: the low byte of an extended code is the primary one
_BUSY, _READONLY, _IOERR, _CORRUPT, _FULL, _CANTOPEN, _NOTADB = 5, 8, 10, 11, 13, 14, 26
_MEANINGS: Final[dict[int, tuple[type[PlatformError], str]]] = {
    _BUSY: (DatabaseInUseError, "another process has the database open; try again"),
    _CORRUPT: (DatabaseDamagedError, f"the database file is damaged; {_REMEDY}"),
    _NOTADB: (DatabaseDamagedError, f"the database file is damaged; {_REMEDY}"),
    _FULL: (StorageFullError, "the user's volume is full; nothing of this request was stored"),
    _READONLY: (StorageFailedError, "the user's volume cannot be written"),
    _IOERR: (StorageFailedError, "the user's volume failed to read or write"),
    _CANTOPEN: (StorageFailedError, "the database file cannot be opened"),
}

_KEYING: Final = frozenset({"key", "rekey", "hexkey", "hexrekey", "textkey", "textrekey"})
_LEAKING: Final = frozenset({"sqlcipher_export", "load_extension"})
"""Names of pragmas and functions; SQLite compares them without regard to case."""

_DIGITS: Final = b"0123456789abcdef"

BufferT = TypeVar("BufferT", memoryview, bytearray)
Connection = Any
"""`dbapi2.Connection`; the package has no types."""


class KeyMemory:
    """Where a key is written for SQLCipher: locked memory, or an ordinary buffer if there is none."""

    def __init__(self, *, required: bool = False) -> None:
        """`required`: without locked memory nothing is opened."""
        self._required = required
        self._warned = False

    @contextlib.contextmanager
    def text_of(self, key: Secret) -> Iterator[memoryview | bytearray]:
        """`x'<hex>'`, overwritten at the end of the context.

        Raises:
            KeyMemoryError: locked memory is required and cannot be had.
        """
        size = 2 * len(key) + len("x''")
        locked = self._locked(size)
        if locked is not None:
            with locked:
                yield _with_raw_key(locked.reveal(), key)
            return
        buffer = bytearray(size)
        try:
            yield _with_raw_key(buffer, key)
        finally:
            buffer[:] = bytes(size)

    def _locked(self, size: int) -> LockedKey | None:
        try:
            return LockedKey(size)
        except OSError as error:
            if self._required:
                raise KeyMemoryError(
                    f"this server has no locked memory for your key ({error.strerror}); try again"
                ) from error
            if not self._warned:
                log.warning("key_memory_not_locked", text=str(error))
                self._warned = True
            return None


def connect(
    file: Path, key: Secret, *, create: bool = False, memory: KeyMemory | None = None
) -> Connection:
    """A connection that has read from the file with this key; `key` itself is left as it was.

    Exclusive, so that no second process writes, and nothing about the data lies in shared memory. WAL (a file keeps
    that) with full synchronisation: a commit that returned is on disk. A file that exists is not changed.

    Raises:
        DatabaseMissingError: there is no such file.
        WrongKeyError: the key does not fit the file.
        DatabaseDamagedError: the key fits, or no key could.
        DatabaseInUseError: another process has it open.
        StorageFailedError: the file system refuses.
        KeyMemoryError: see `KeyMemory`.
    """
    if not create:
        check_shape(file)
    connection = None
    try:
        with translated():
            connection = _keyed(file, "rwc" if create else "rw", key, memory or KeyMemory())
            for pragma in ("locking_mode=EXCLUSIVE", "temp_store=MEMORY"):
                connection.execute(f"PRAGMA {pragma}")
            _first_read(connection, file, key)
            if create:
                connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.set_authorizer(_permit)
    except BaseException:
        if connection is not None:
            connection.close()
        raise
    return connection


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """SQLite's errors as the server's own."""
    try:
        yield
    except dbapi2.Error as error:
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        kind, text = _MEANINGS.get(code, (DatabaseError, "the database failed; see the log"))
        raise kind(text) from error
    except MemoryError as error:  # SQLite's own, too
        raise NotEnoughMemoryError(
            "this takes more memory than a server may have; ask for a shorter period, or for whole hours"
        ) from error


def _permit(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    """SQLite's authorizer (https://www.sqlite.org/c3ref/c_alter_table.html says what the names are)."""
    match action:
        case dbapi2.SQLITE_ATTACH | dbapi2.SQLITE_DETACH:
            refused = True
        case dbapi2.SQLITE_PRAGMA:
            refused = (first or "").lower() in _KEYING
        case dbapi2.SQLITE_FUNCTION:
            refused = (second or "").lower() in _LEAKING
        case _:
            refused = False
    return int(dbapi2.SQLITE_DENY if refused else dbapi2.SQLITE_OK)


def check_shape(file: Path) -> None:
    """Raise what `connect` raises about a file that no key could open."""
    try:
        size = file.stat().st_size
    except FileNotFoundError as error:
        raise DatabaseMissingError(f"the user's volume holds no database; {_REMEDY}") from error
    except OSError as error:
        raise StorageFailedError("the database file cannot be opened") from error
    if size < 2 * PAGE or size % PAGE:
        raise DatabaseDamagedError(f"the database file is cut off; {_REMEDY}")


def _keyed(file: Path, mode: str, key: Secret, memory: KeyMemory) -> Connection:
    uri = f"{file.absolute().as_uri()}?mode={mode}"
    with memory.text_of(key) as text:
        connection = dbapi2.connect(uri, uri=True, isolation_level=None, timeout=0)
        connection.execute("PRAGMA cipher_log_level=NONE")  # its lines on stderr are not ours
        connection.set_key(text)
    return connection


def _with_raw_key(text: BufferT, key: Secret) -> BufferT:
    """The buffer with `x'<hex>'` in it, written digit by digit, so that no other one ever holds it."""
    text[:2], text[-1:] = b"x'", b"'"
    for index, byte in enumerate(key.reveal()):
        text[2 + 2 * index] = _DIGITS[byte >> 4]
        text[3 + 2 * index] = _DIGITS[byte & 0xF]
    return text


def _first_read(connection: Connection, file: Path, key: Secret) -> None:
    """Reading the first page is what shows whether the key fits."""
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except dbapi2.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", None) != _NOTADB:
            raise
        if fits_second_page(file, key):
            raise DatabaseDamagedError(
                f"the first page of the database is damaged; {_REMEDY}"
            ) from error
        raise WrongKeyError("the key does not open the database") from error


def fits_second_page(file: Path, key: Secret) -> bool:
    """Whether the key fits the file's second page, by its HMAC; needs no lock, so it works while a session is open."""
    with file.open("rb") as opened:
        salt = opened.read(_SALT)
        opened.seek(PAGE)
        page = opened.read(PAGE)
    mask = bytes(byte ^ _HMAC_SALT_MASK for byte in salt)
    hmac_key = hashlib.pbkdf2_hmac("sha512", key.reveal(), mask, _HMAC_ROUNDS, len(key))
    number = (2).to_bytes(4, "little")
    expected = hmac.digest(hmac_key, page[:-_HMAC] + number, "sha512")
    return hmac.compare_digest(expected, page[-_HMAC:])
