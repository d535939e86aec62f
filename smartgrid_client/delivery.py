"""What a meter has to deliver: a file that was read whole, from its first line to its last, before anything is sent.

So a bad line in the middle leaves nothing half delivered, and how much there is to deliver is known. Then the file is
read again while it is pushed, in constant memory; lines that were added to it meanwhile are not.
"""

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from smartgrid_client import readings, texts
from smartgrid_client.bad_lines import BadLines
from smartgrid_client.batches import Batch, BatchSize, batches, densify
from smartgrid_client.readings import Format, OnBad, Reading, ReadingsError, Skips
from standby.errors import words


@dataclass(frozen=True, slots=True)
class Delivery:
    """Batches, and what is known of them beforehand."""

    batches: Iterator[Batch]
    total: int | None = None
    """Readings in all batches; None: there is no file."""
    skips: Skips = field(default_factory=Counter)
    """Lines of the file that gave none."""
    bad: tuple[str, ...] = ()
    """About lines that cannot be read, and are left out because the user wants that."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which readings of a file, and how they are sent."""

    form: Format
    start: int
    """Unix seconds."""
    end: float
    step: int | None
    """As in `densify`; None: as they are."""
    size: BatchSize
    skip_bad: bool


def of_file(path: Path, wanted: Wanted) -> Delivery:
    """All of a file that is wanted, once it was read whole.

    Raises:
        ReadingsError: it cannot be read, lines of it cannot and the user does not skip them, or nothing is wanted.
    """
    try:
        source = texts.Source(path)
    except OSError as error:
        raise ReadingsError(f"cannot read {path}: {words(error)}") from error
    skips: Skips = Counter()
    bad = BadLines()
    total = sum(1 for _ in _readings(source, wanted, skips, bad))
    if bad.count and not wanted.skip_bad:
        advice = "nothing was sent: mend these lines, or leave them out with --skip-bad"
        raise ReadingsError("\n".join((*bad.texts, advice)))
    if not total:
        raise ReadingsError(f"there are no readings to push in {source.name} and the period")
    found = _readings(source, wanted, Counter(), lambda _error: None)
    made = batches(itertools.islice(found, total), wanted.size)
    return Delivery(made, total, skips, bad.texts)


def _readings(
    source: texts.Source, wanted: Wanted, skips: Skips, on_bad: OnBad
) -> Iterator[Reading]:
    found = readings.read_source(source, skips, wanted.form, on_bad)
    chosen = (each for each in found if wanted.start <= each.timestamp < wanted.end)
    return chosen if wanted.step is None else densify(chosen, wanted.step)
