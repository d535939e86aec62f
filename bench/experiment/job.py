"""What the load generator is told to do: every request of a run, decided beforehand."""

from enum import StrEnum
from pathlib import Path

import msgspec
from msgspec import Struct

from smartgrid_client.requests import Operation
from standby.tls import TlsFiles


class Client(StrEnum):
    METER = "meter"
    """Type 1 of the dissertation."""
    CUSTOMER = "customer"
    """Type 2."""


class Planned(Struct, frozen=True):
    """One request."""

    at: float | None
    """Seconds from the run's beginning; None: as soon as the one before it is answered."""
    operation: Operation


class Session(Struct, frozen=True, kw_only=True):
    """From LOGIN to LOGOUT, one request after the other on one connection."""

    number: int
    lane: int
    """Sessions of one lane follow each other; lanes are independent."""
    uid: str
    client: Client
    requests: list[Planned]


class Credentials(Struct, frozen=True, kw_only=True):
    tls: TlsFiles
    key_file: Path


class Job(Struct, frozen=True, kw_only=True):
    host: str
    port: int
    users: dict[str, Credentials]
    sessions: list[Session]
    hours: int | None
    """Of 15-second readings in a LONG_WRITE."""
    warm_up: float
    """Seconds; requests that are due earlier are marked."""
    timeout: float
    """Seconds to wait for an answer."""
    requests_file: Path
    seed: int


class Generated(Struct, frozen=True, kw_only=True):
    """What the load generator says of itself at the end."""

    seconds: float
    """From the beginning to the last answer."""
    processors: float
    """Processor time of its process ÷ seconds."""
    lag_p99_ms: float
    requests: int
    failed: int


def write(file: Path, job: Job) -> None:
    file.write_bytes(msgspec.json.encode(job, enc_hook=str))


def read(file: Path) -> Job:
    return msgspec.json.decode(file.read_bytes(), type=Job, dec_hook=lambda _type, text: Path(text))
