"""The one thread that touches the database, so that the event loop never waits for a disk.

Work is done in the order in which it was given, which is what makes ending a session safe: `close`, given when the
session ends, runs after everything that was given before, and whatever is given later finds no database.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from smartgrid_server import cipher, freshness
from smartgrid_server.database import Database
from smartgrid_server.errors import SessionOverError, StorageFailedError
from standby.errors import PlatformError
from standby.logs import EventLog
from standby.secret import Secret

log = EventLog(__name__)
T = TypeVar("T")


class Worker:
    """Owns the database connection; every method only hands work over, at the call and not at the await."""

    def __init__(self, *, locked_required: bool = False, largest: int | None = None) -> None:
        """For one process.

        Args:
            locked_required: Nothing is opened without locked memory for the key.
            largest: Bytes of the largest file that this process can write; None: as the disk has room.
        """
        self._largest = largest
        self._executor: ThreadPoolExecutor | None = None  # a waiting server has no use for it
        self._memory = cipher.KeyMemory(required=locked_required)
        # only the thread reads and writes these
        self._database: Database | None = None
        self._file = Path()

    def look(self, file: Path) -> asyncio.Future[bytes | None]:
        """The tag of the database, which nobody has open (`freshness.found_in`).

        Raises:
            As `cipher.check_shape`, from the future.
        """

        def work() -> bytes | None:
            cipher.check_shape(file)
            try:
                return freshness.found_in(file)
            except OSError as error:
                raise StorageFailedError("the user's volume failed to read") from error

        return self._give(work)

    def open(self, file: Path, key: Secret) -> asyncio.Future[bool]:
        """Open the database without a change to it; True if `bring_up_to_date` comes before anything else.

        Raises:
            As `Database.unlock`, from the future.
        """

        def work() -> bool:
            self._database, self._file = (
                Database.unlock(file, key, self._memory, self._largest),
                file,
            )
            return self._database.outdated()

        return self._give(work)

    def submit(self, task: Callable[[Database], T]) -> asyncio.Future[T]:
        """Do something with the open database.

        Raises:
            SessionOverError: from the future, when it has been closed meanwhile.
        """

        def work() -> T:
            if self._database is None:
                raise SessionOverError("the session has just ended; log in again")
            return task(self._database)

        return self._give(work)

    def close(self) -> asyncio.Future[bytes | None]:
        """Close the database if it is open; gives its tag, None if it was not open or could not be closed properly.

        A failure is only logged: what was acknowledged is in the journal and will be recovered from it.
        """

        def work() -> bytes | None:
            database, self._database = self._database, None
            if database is None:
                return None
            try:
                database.close()
                return freshness.found_in(self._file)
            except (PlatformError, OSError) as error:
                log.error("close_failed", error=error)
                return None

        return self._give(work)

    def stop(self) -> None:
        """Let the thread end when its work is done; does not wait for it."""
        if self._executor is not None:
            self._executor.shutdown(wait=False)

    def _give(self, work: Callable[[], T]) -> asyncio.Future[T]:
        if self._executor is None:
            self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="database")
        return asyncio.get_running_loop().run_in_executor(self._executor, work)
