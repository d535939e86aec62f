"""What a run says of itself besides its rows: run.json, written last, so a run that has it is complete."""

from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from bench.experiment.job import Generated

FILE: Final = "run.json"


class Outcome(Struct, frozen=True, kw_only=True):
    seconds: float
    """From the first intended moment to the last answer."""
    measured_seconds: float
    """Of these, without the warm-up."""
    full_from: float
    full_until: float
    """Seconds from the run's beginning between which all active users had a session."""
    generator: Generated | None
    problems: list[str]
    """Why it is not valid."""


def write(directory: Path, outcome: Outcome) -> None:
    """As a whole or not at all."""
    fresh = directory / f"{FILE}.new"
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(outcome), indent=2) + b"\n")
    fresh.replace(directory / FILE)


def read(directory: Path) -> Outcome | None:
    """None if the run is not complete."""
    try:
        return msgspec.json.decode((directory / FILE).read_bytes(), type=Outcome)
    except FileNotFoundError:
        return None
