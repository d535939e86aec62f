"""Logs: an event name and key-values, one JSON object a line on stderr.

Times are UTC (RFC 3339), so that lines of several machines can be sorted. The level is by outcome: INFO is the usual
course, a stranger's or a user's own mistake; WARNING is what a later try mends, or less than was asked for; ERROR is
what cost a user something or needs an operator. All events are listed in `docs/reference/logs.md`.

The standard library's logging with python-json-logger's formatter; `EventLog` only turns keyword arguments into the
record's extra fields. One scrubber stands before every handler: it cuts long values and blanks whatever looks like a
key, a token or a private key, as the last line of defence. The first line is that secrets are `Secret` and print as
`<secret>`. Text of peers is in many records, so control characters are written as escapes (`standby.text`): whoever
looks at a log's values on a terminal sees what was said and nothing else.

Other libraries' records are sampled: some have a record, with a traceback, for each thing that a peer did wrong.

Rejected: structlog, because importing it pulls rich into every standby server where rich is installed (+16 MB).
"""

import contextlib
import io
import logging
import re
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Final, Protocol

from pythonjsonlogger.json import JsonFormatter

from standby.sampling import Sampler
from standby.settings import LOG_LEVEL, SettingsError
from standby.text import printable, visible

MAX_VALUE: Final = 2000
"""Characters of a text."""
MOST_OF_OTHERS: Final = 20
"""Records of each level of one library's logger in a minute."""
_SECRET_NAMES: Final = re.compile(r"key$|token|secret|password|authorization|cookie", re.IGNORECASE)
_SECRET_TEXTS: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END|$)|\b[0-9a-fA-F]{64}\b|[Bb]earer\s+\S+",
    re.DOTALL,
)


class Level(StrEnum):
    """How much a record matters; see above."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class Stream(Protocol):
    """Where records are written."""

    def write(self, text: str, /) -> object: ...
    def flush(self) -> object: ...


_NUMBERS: Final = logging.getLevelNamesMapping()


def level_of(prefix: str, environ: Mapping[str, str]) -> Level:
    """The least level that a part logs, by the variable with its prefix.

    Raises:
        SettingsError: there is no such level.
    """
    variable = f"{prefix}_{LOG_LEVEL}"
    text = environ.get(variable) or Level.INFO
    if text.upper() not in set(Level):
        raise SettingsError(
            f"{variable}={printable(text, 100)}: expected one of {', '.join(Level)}"
        )
    return Level(text.upper())


def scrub(name: str, value: object) -> object:
    """`value` as it may be written under `name`."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if _SECRET_NAMES.search(name):
        return "<secret>"
    if isinstance(value, Mapping):
        return {str(key): scrub(str(key), each) for key, each in value.items()}
    return printable(_blanked(value), MAX_VALUE)


def _blanked(value: object) -> str:
    return _SECRET_TEXTS.sub("<secret>", str(value))


def both_ends(text: str, head: int, tail: int) -> str:
    """A long text without its middle: the end of a traceback says the most."""
    return text if len(text) <= head + tail else f"{text[:head]} … {text[-tail:]}"


class EventLog:
    """`log.info("wrapper_lost", wrapper_id=…)`."""

    __slots__ = ("_logger",)

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def at(self, level: Level, event: str, **fields: object) -> None:
        """A record whose level depends on the outcome."""
        self._write(_NUMBERS[level], event, fields)

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
    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def formatException(self, ei: object) -> str:  # noqa: N802  # the standard library's name
        text = both_ends(
            _blanked(super().formatException(ei)), MAX_VALUE // 4, MAX_VALUE - MAX_VALUE // 4
        )
        return "\n".join(map(visible, text.split("\n")))

    def process_log_record(self, log_data: dict[str, object]) -> dict[str, object]:
        fields = log_data.pop("fields", None)
        if isinstance(fields, dict):
            log_data.update(fields)
        log_data["event"] = printable(str(log_data["event"]), MAX_VALUE)  # another library's, too
        return log_data


class _OthersSampled(logging.Filter):
    """Lets every record of `EventLog` pass, and of each other logger a few a minute."""

    def __init__(self) -> None:
        super().__init__()
        self._sampler = Sampler(MOST_OF_OTHERS)
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        if hasattr(record, "fields"):
            return True
        with self._lock:  # threads log, too
            before = self._sampler.admit(f"{record.name} {record.levelname}", time.monotonic())
        if before:
            record.fields = {"not_logged_before": before}
        return before is not None


def configure(part: str, level: str = "INFO", stream: Stream | None = None) -> None:
    """Send every log record of this process to stderr (or `stream`) as JSON, marked with the name of the part."""
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
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
    handler.addFilter(_OthersSampled())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)


def mark(**fields: str) -> None:
    """Mark every later record of this process with these fields, too: which of several such parts it is."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, _Formatter):
            handler.formatter.static_fields.update(fields)


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
