"""The key of a user's database as a file, `db.key`: in most places its only copy, so none is ever replaced by another.

The key is on disk before a database that needs it exists.
"""

import secrets
from pathlib import Path
from typing import Final

from standby import durable
from standby.errors import words
from standby.ids import Uid
from standby.secret import Secret
from standby_cli.errors import EnrollError

FILE: Final = "db.key"
BYTES: Final = 32


def new() -> Secret:
    return Secret(secrets.token_bytes(BYTES))


def given(place: Path, uid: Uid) -> Secret:
    """The user's key in a file, or in a directory of UID/db.key.

    Raises:
        EnrollError: it cannot be used.
    """
    return _read(place / uid / FILE if place.is_dir() else place)


def check_place(directory: Path, key: Secret) -> None:
    """There is no other key in the directory.

    Raises:
        EnrollError: there is one, or what is there cannot be used.
    """
    file = directory / FILE
    if file.exists() and _read(file) != key:
        raise EnrollError(
            f"{file} holds another database's key, perhaps its only copy; pass it with --db-key if it is this user's, "
            "or choose another --out"
        )


def write(directory: Path, key: Secret) -> bool:
    """The key is on disk in the directory when this returns; False if it was there already."""
    file = directory / FILE
    if file.exists():
        return False
    durable.write(file, key.reveal().hex().encode())
    durable.sync(directory)
    return True


def remove(directory: Path) -> None:
    """The key opens nothing, and would only be in the way."""
    (directory / FILE).unlink(missing_ok=True)


def _read(file: Path) -> Secret:
    try:
        return Secret.from_hex(file.read_text().strip(), BYTES)
    except (OSError, ValueError) as error:
        raise EnrollError(f"{file} cannot be used as a database key: {words(error)}") from error
