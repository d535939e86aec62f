"""What the HTTP library says of requests that are none: a few lines a minute, at INFO, without a traceback.

Whoever reaches a listener can send what is no HTTP as often as they like. The library logs each time as an ERROR with a
traceback, as if something of ours had failed. Here it is one short record, sampled by kind, and the peer has its answer
(400) all the same. Errors that are not the peer's go through as they are.
"""

import logging
import time
from collections.abc import Callable
from typing import Final

from aiohttp.http_exceptions import HttpProcessingError

from standby.logs import EventLog
from standby.sampling import Sampler
from standby.text import printable

MOST: Final = 5
"""Records of each kind in a minute."""
_LONGEST: Final = 200
log = EventLog(__name__)


def logger(clock: Callable[[], float] = time.monotonic) -> logging.Logger:
    """For one server of aiohttp's."""
    made = logging.Logger("aiohttp.server")  # noqa: LOG001  # each server has its own counts
    made.parent = logging.getLogger("aiohttp")
    made.addFilter(_PeersMistakes(clock))
    return made


class _PeersMistakes(logging.Filter):
    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._sampler = Sampler(MOST)

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, HttpProcessingError):
            return True
        kind = type(error).__name__
        before = self._sampler.admit(kind, self._clock())
        if before is not None:
            log.info(
                "request_unreadable",
                kind=kind,
                remote=record.args[0] if isinstance(record.args, tuple) and record.args else None,
                text=printable(str(error).replace("\n", " "), _LONGEST),
                not_logged_before=before,
            )
        return False
