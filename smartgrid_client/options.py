"""The command line's own kinds of values: durations, buckets, batch sizes, client types, alarms, columns.

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

from smartgrid_client import columns, periods
from smartgrid_client.batches import BatchSize
from smartgrid_client.columns import Columns
from smartgrid_client.messages import Alarm, Metric
from smartgrid_client.moments import zone_named
from smartgrid_client.periods import Bucket
from standby.ids import InvalidIdError, parse_uid
from standby.secret import Secret

KEY_FILE: Final = "db.key"
KEY_SIZE: Final = 32
_KEY_FILE_LIMIT: Final = 1024
_UNITS: Final = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}
_HOST: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?")
_DURATION: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)", re.IGNORECASE)
_THRESHOLD: Final = re.compile(r"-?[0-9]{1,12}(?:\.[0-9]{1,12})?")
_ID: Final = re.compile(r"[0-9]{1,18}")


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


class BucketKind(_Kind):
    name = "length"

    def parse(self, text: str) -> Bucket:
        return periods.bucket(text)


class AlarmKind(_Kind):
    """A metric and its threshold."""

    name = "metric=threshold"

    def parse(self, text: str) -> Alarm:
        metric, _, threshold = (each.strip() for each in text.partition("="))
        if metric not in set(Metric) or not _THRESHOLD.fullmatch(threshold):
            raise ValueError(
                f"expected {', '.join(Metric)}, then = and a number (power=4000), not {text!r}"
            )
        return Alarm(Metric(metric), float(threshold))


class ChangeKind(_Kind):
    """An alarm's id, and what it becomes."""

    name = "id:metric=threshold"

    def parse(self, text: str) -> tuple[int, Alarm]:
        number, _, alarm = text.partition(":")
        if not _ID.fullmatch(number):
            raise ValueError(
                f"expected an alarm's id (--alarms lists them), then : and what it becomes "
                f"(3:power=4000), not {text!r}"
            )
        return int(number), AlarmKind().parse(alarm)


class ColumnsKind(_Kind):
    name = "columns"

    def parse(self, text: str) -> Columns:
        return columns.chosen(text)


class ZoneKind(_Kind):
    name = "zone"

    def parse(self, text: str) -> dt.tzinfo:
        return zone_named(text)


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


class DashCommand(click.Command):
    """Takes long options with one dash too, as the dissertation writes them (`-server`)."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        known = {option for each in self.get_params(ctx) for option in each.opts}
        return super().parse_args(ctx, [double_dash(each, known) for each in args])


def double_dash(argument: str, known: set[str]) -> str:
    """`--name` for `-name` where that is a known option; anything else unchanged."""
    name = argument.partition("=")[0]
    return f"-{argument}" if f"-{name}" in known and not name.startswith("--") else argument
