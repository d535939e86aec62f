"""The command line's own kinds of values: durations, moments, batch sizes, client types.

Each says in its error what would have been right.
"""

import contextlib
import datetime as dt
import ipaddress
import re
from enum import Enum
from pathlib import Path
from typing import Final

import click

from smartgrid_client.batches import BatchSize
from standby.ids import InvalidIdError, parse_uid
from standby.secret import Secret

KEY_FILE: Final = "db.key"
KEY_SIZE: Final = 32
_KEY_FILE_LIMIT: Final = 1024
_UNITS: Final = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}
_HOST: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?")
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)", re.IGNORECASE)


class Mode(Enum):
    """The dissertation's two types of clients (section 3.2)."""

    METER = 1
    CUSTOMER = 2


_MODES: Final = {
    "1": Mode.METER,
    "type1": Mode.METER,
    "meter": Mode.METER,
    "2": Mode.CUSTOMER,
    "type2": Mode.CUSTOMER,
    "customer": Mode.CUSTOMER,
}


class _Kind(click.ParamType[object]):
    """Turns a `ValueError` of `parse` into a usage error."""

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> object:
        if not isinstance(value, str):
            return value
        try:
            return self.parse(value.strip())
        except ValueError as error:
            return self.fail(str(error), param, ctx)

    def parse(self, text: str) -> object:
        raise NotImplementedError


class ModeKind(_Kind):
    name = "1|2"

    def parse(self, text: str) -> Mode:
        try:
            return _MODES[text.lower()]
        except KeyError:
            raise ValueError(f"expected one of {', '.join(_MODES)}, not {text!r}") from None


class DurationKind(_Kind):
    """Seconds, or a number with s, m, h or d."""

    name = "seconds"

    def parse(self, text: str) -> float:
        return seconds(text)


class BatchKind(_Kind):
    """A number of rows, or a duration with its unit."""

    name = "rows|duration"

    def parse(self, text: str) -> BatchSize:
        if text.isascii() and text.isdigit():
            return BatchSize(rows=int(text))
        length = seconds(text)
        if length != int(length):
            raise ValueError("a batch's duration is whole seconds")
        return BatchSize(seconds=int(length))


class MomentKind(_Kind):
    """Unix seconds, or an ISO date or date and time; without an offset it is UTC."""

    name = "moment"

    def parse(self, text: str) -> int:
        if text.isascii() and text.isdigit():
            return int(text)
        try:
            moment = dt.datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(
                f"expected Unix seconds or a date such as 2007-02-01 or 2007-02-01T18:00, not {text!r}"
            ) from None
        return int((moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp())


class HostKind(_Kind):
    """A name or an address, and nothing else."""

    name = "host"

    def parse(self, text: str) -> str:
        with contextlib.suppress(ValueError):
            return str(ipaddress.ip_address(text.removeprefix("[").removesuffix("]")))
        try:
            written = text.encode("idna").decode("ascii")
        except UnicodeError:
            written = ""
        if not _HOST.fullmatch(written):
            raise ValueError(
                f"expected a host's name or address, without https:// and with the port in --port, not {text!r}"
            )
        return text


class UidKind(_Kind):
    name = "uid"

    def parse(self, text: str) -> str:
        try:
            return parse_uid(text)
        except InvalidIdError as error:
            raise ValueError(str(error)) from error


def seconds(text: str) -> float:
    """The duration written as `600`, `10m`, `1h`, …, in seconds.

    Raises:
        ValueError: not a duration.
    """
    match = _DURATION.fullmatch(text)
    unit = _UNITS.get(match[2].lower() or "s") if match else None
    if match is None or unit is None:
        raise ValueError(f"expected seconds, or a number with s, m, h or d, not {text!r}")
    return float(match[1]) * unit


def load_key(place: Path) -> Secret:
    """The user's database key from the file, or from `db.key` in the directory, that `standby enroll` wrote.

    Raises:
        ValueError: no such file, or not 64 hex digits; the message does not quote the file.
    """
    file = place / KEY_FILE if place.is_dir() else place
    try:
        with file.open("rb") as opened:
            text = opened.read(_KEY_FILE_LIMIT)
        return Secret.from_hex(text.decode("ascii").strip(), KEY_SIZE)
    except OSError as error:
        raise ValueError(f"cannot read the key file {file}: {error.strerror}") from error
    except ValueError:
        raise ValueError(f"{file} does not hold {2 * KEY_SIZE} hex digits") from None
