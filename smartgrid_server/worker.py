"""The one thread that touches the database, so that the event loop never waits for a disk.

Work is done in the order in which it was given, which is what makes ending a session safe: `close`, given when the
session ends, runs after everything that was given before, and whatever is given later finds no database.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from smartgrid_server.database import Database
from smartgrid_server.errors import SessionOverError
from standby.errors import PlatformError
from standby.logs import EventLog
from standby.secret import Secret

log = EventLog(__name__)
T = TypeVar("T")


class Worker:
    """Owns the database connection; every method only hands work over, at the call and not at the await."""

    def __init__(self) -> None:
        self._executor: ThreadPoolExecutor | None = None  # a waiting server has no use for it
        self._database: Database | None = None  # only the thread reads and writes this

    def open(self, file: Path, key: Secret) -> asyncio.Future[None]:
        """Open the database; a later `submit` finds it.

        Raises:
            As `Database.open`, from the future.
        """

        def work() -> None:
            self._database = Database.open(file, key)

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

    def close(self) -> asyncio.Future[None]:
        """Close the database if it is open.

        A failure is only logged: what was acknowledged is in the journal and will be recovered from it.
        """

        def work() -> None:
            database, self._database = self._database, None
            if database is None:
                return
            try:
                database.close()
            except PlatformError as error:
                log.error("close_failed", error=error)

        return self._give(work)

    def stop(self) -> None:
        """Let the thread end when its work is done; does not wait for it."""
        if self._executor is not None:
            self._executor.shutdown(wait=False)

    def _give(self, work: Callable[[], T]) -> asyncio.Future[T]:
        if self._executor is None:
            self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="database")
        return asyncio.get_running_loop().run_in_executor(self._executor, work)
