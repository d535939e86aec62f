"""What a run was asked for, and where its files lie."""

from dataclasses import dataclass
from pathlib import Path

from standby_cli.layout import Layout


@dataclass(frozen=True, slots=True)
class Options:
    """The command line."""

    seconds: float
    """During which faults happen."""
    users: int
    pool: int
    """Server processes of each wrapper."""
    seed: int


@dataclass(frozen=True, slots=True)
class Place:
    """The files of one run."""

    root: Path

    @property
    def layout(self) -> Layout:
        return Layout(self.root / "state")

    @property
    def users(self) -> Path:
        return self.root / "users"

    @property
    def histories(self) -> Path:
        return self.root / "histories"

    @property
    def faults(self) -> Path:
        return self.root / "faults.jsonl"

    @property
    def writers(self) -> Path:
        return self.root / "writers.jsonl"

    def make(self) -> None:
        self.histories.mkdir(parents=True)
