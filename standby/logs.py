"""Logs: an event name and key-values, one JSON object a line on stderr.

The standard library's logging with python-json-logger's formatter; `EventLog` only turns keyword arguments into the
record's extra fields. One scrubber stands before every handler: it cuts long values and blanks whatever looks like a
key, a token or a private key, as the last line of defence. The first line is that secrets are `Secret` and print as
`<secret>`.

Rejected: structlog, because importing it pulls rich into every standby server where rich is installed (+16 MB).
"""

import contextlib
import io
import logging
import re
import sys
from collections.abc import Iterator
from typing import Final

from pythonjsonlogger.json import JsonFormatter

MAX_VALUE: Final = 2000
_SECRET_NAMES: Final = re.compile(r"key$|token|secret|password|authorization|cookie", re.IGNORECASE)
_SECRET_TEXTS: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END|$)|\b[0-9a-fA-F]{64}\b|[Bb]earer\s+\S+",
    re.DOTALL,
)


def scrub(name: str, value: object) -> object:
    """`value` as it may be written under `name`."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if _SECRET_NAMES.search(name):
        return "<secret>"
    text = _SECRET_TEXTS.sub("<secret>", str(value))
    return text if len(text) <= MAX_VALUE else text[:MAX_VALUE] + "…"


class EventLog:
    """`log.info("wrapper_lost", wrapper_id=…)`."""

    __slots__ = ("_logger",)

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, event: str, **fields: object) -> None:
        self._write(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: object) -> None:
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        self._write(logging.WARNING, event, fields)

    def error(self, event: str, *, error: BaseException | None = None, **fields: object) -> None:
        """An error; with `error`, its traceback goes into the record."""
        self._write(logging.ERROR, event, fields, error)

    def _write(
        self, level: int, event: str, fields: dict[str, object], error: BaseException | None = None
    ) -> None:
        if self._logger.isEnabledFor(level):
            clean = {name: scrub(name, value) for name, value in fields.items()}
            self._logger.log(level, event, extra={"fields": clean}, exc_info=error)


class _Formatter(JsonFormatter):
    def formatException(self, ei: object) -> str:  # noqa: N802  # the standard library's name
        return str(scrub("traceback", super().formatException(ei)))

    def process_log_record(self, log_data: dict[str, object]) -> dict[str, object]:
        fields = log_data.pop("fields", None)
        if isinstance(fields, dict):
            log_data.update(fields)
        return log_data


def configure(part: str, level: str = "INFO") -> None:
    """Send every log record of this process to stderr as JSON, marked with the name of the part."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _Formatter(
            "{asctime}{levelname}{name}{message}",
            style="{",
            rename_fields={
                "asctime": "time",
                "levelname": "level",
                "message": "event",
                "name": "where",
            },
            static_fields={"part": part},
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)


@contextlib.contextmanager
def discarded() -> Iterator[None]:
    """While the context lasts records are made as ever, and nobody reads them."""
    handlers = [
        each for each in logging.getLogger().handlers if isinstance(each, logging.StreamHandler)
    ]
    streams = [handler.setStream(io.StringIO()) for handler in handlers]
    try:
        yield
    finally:
        for handler, stream in zip(handlers, streams, strict=True):
            handler.setStream(stream)
