"""What a client keeps of its user's database between two sessions, so that nobody can hand it an older copy unnoticed.

LOGOUT's answer says what the database was like when it was closed; the next LOGIN presents that, and a server that has
older data refuses (`older_data`). The file is worth what its place is worth: it lies with the key, on the user's own
machine. It holds no secret. Every client of a user has its own, and only the one whose LOGOUT closed the database
learns the newest; a server therefore makes nothing of a generation that is older than its own.

A file that cannot be read ends the run, because going on would be the same as having no protection. A file that cannot
be written is only said: the session is over by then, and nothing of it is lost.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from smartgrid_client.messages import Freshness, LoggedOut, Login
from smartgrid_client.options import KEY_FILE
from standby import decode, durable
from standby.decode import UnreadableError

FILE_NAME: Final = "freshness.json"
VERIFIED: Final = "verified"
_FIRST: Final = 1
"""Generation of the first claim of a user's data."""


def file_for(keydir: Path) -> Path:
    """Where the file is: in the directory of keys, or beside the key file.

    A key file of another name than `db.key` may have others beside it, so its name is in the file's name.
    """
    if keydir.is_dir():
        return keydir / FILE_NAME
    own = keydir.name == KEY_FILE
    return keydir.with_name(FILE_NAME if own else f"{keydir.name}.{FILE_NAME}")


def load(file: Path) -> Freshness | None:
    """What was kept; None if there was nothing yet.

    Raises:
        ValueError: the file cannot be used.
    """
    try:
        return decode.json(file.read_bytes(), Freshness)
    except FileNotFoundError:
        return None
    except (OSError, UnreadableError) as error:
        raise ValueError(
            f"cannot use {file} ({error}): without it older data would not be noticed; "
            "remove it if that is meant"
        ) from error


class Memory:
    """One user's memory, on disk; `told` is called with what the user should know."""

    def __init__(
        self, file: Path, told: Callable[[str], None], *, accept_older: bool = False
    ) -> None:
        """Read the file.

        Raises:
            ValueError: it cannot be used.
        """
        self.accept_older = accept_older
        self.kept = load(file)
        self._file = file
        self._told = told

    def logged_in(self, login: Login) -> None:
        """Say so if nobody can tell whether the data are the newest; nothing can be known at the very first LOGIN."""
        first = self.kept is None and login.generation <= _FIRST
        if self.accept_older:  # once: it was said about the data that there were then
            self.accept_older, self.kept = False, None
        if login.freshness not in {None, VERIFIED} and not first:
            self._told(f"freshness of the data is {login.freshness}: {login.freshness_text}")

    async def logged_out(self, reply: LoggedOut) -> None:
        """Keep what the database was like, if this LOGOUT closed it."""
        if reply.freshness is None:
            return
        self.kept = reply.freshness
        try:
            await asyncio.to_thread(durable.replace, self._file, msgspec.json.encode(self.kept))
        except OSError as error:
            self._told(
                f"warning: cannot write {self._file} ({error.strerror}): "
                "the next LOGIN cannot notice older data"
            )
