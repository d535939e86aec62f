"""What an experiment leaves behind, as data; everything that is shown is made from this and from the CSV files.

    DIR/plan.json                  the plan as it was understood; a resumed run must be the same
    DIR/machine.json               what it was begun on
    DIR/runs/<cell>-<repetition>/  one run of one cell: requests.csv, resources.csv, and run.json when it is complete;
                                   epc.csv where an SGX driver counts pages
    DIR/summary.json               `Summary`
    DIR/figures/*.svg, *.png
    DIR/report.html, capacity.html

Times are in milliseconds, memory in MiB (2**20 bytes), processor time in processors (seconds used ÷ seconds passed).
"""

from enum import StrEnum
from typing import Final

from msgspec import Struct

Level = str | int | float
CONFIDENCE: Final = 0.95
"""Of every interval."""


class System(Struct, frozen=True, kw_only=True):
    """What serves: an approach and how its server processes are started."""

    approach: str
    launcher: str

    @property
    def name(self) -> str:
        return f"{self.approach}/{self.launcher}"

    @property
    def simulated(self) -> bool:
        return self.launcher.startswith("simulated")


class Estimate(Struct, frozen=True, kw_only=True):
    """A value and its interval."""

    value: float
    low: float
    high: float


class Operation(Struct, frozen=True, kw_only=True):
    """Latencies of one kind of request in one cell, all valid repetitions together, warm-up left out."""

    count: int
    """Answered as wanted; the figures are of these."""
    failed: int
    mean: float | None
    p50: Estimate | None
    p95: Estimate | None
    p99: Estimate | None
    max: float | None


class Group(Struct, frozen=True, kw_only=True):
    """The processes of one role, summed over them; medians over the samples of full activity."""

    processes: float
    pss: float
    rss: float
    enclaves: float | None
    """Memory that simulated enclaves really hold; None without them."""
    waiting: float | None = None
    """MiB, as `memory`, at the first reading, when no session has begun; None if it was not read."""
    processors: float
    """Mean of the whole run."""
    switches: float
    """Context switches per second, mean of the whole run."""

    @property
    def memory(self) -> float:
        """What the group costs the machine: a page that n processes share counts 1/n in each."""
        return self.pss + (self.enclaves or 0.0)


class EpcPages(Struct, frozen=True, kw_only=True):
    """Pages of 4 KiB of the machine's enclave page cache: medians of the readings."""

    total: int
    free: float
    allocated: float
    evicted: float
    """During a run."""


class Cell(Struct, frozen=True, kw_only=True):
    """One combination of levels, with all its repetitions."""

    id: str
    system: System | None
    """None where no platform serves."""
    levels: dict[str, Level]
    """Without the system."""
    runs: int
    valid: int
    problems: list[str]
    """Why runs are not valid; those are in no figure."""
    operations: dict[str, Operation]
    throughput: float
    """Answers per second in the measured time of the valid runs."""
    groups: dict[str, Group]
    """By role: servers, wrappers, routing-manager, load-balancer, generator."""
    epc: EpcPages | None = None
    """None where no driver counts them."""

    @property
    def conditions(self) -> dict[str, Level]:
        """The levels in which cells that are compared must agree: a pool and a server for each user differ in size."""
        return {name: value for name, value in self.levels.items() if name != "servers"}


class Verdict(StrEnum):
    MET = "met"
    MISSED = "missed"
    UNDECIDED = "undecided"
    """The interval holds values of both sides."""
    NOT_MEASURED = "not measured"
    """Something is required, and there is no figure."""
    MEASURED = "measured"
    """Nothing is required."""


class Conclusion(Struct, frozen=True, kw_only=True):
    """One sentence computed from the data."""

    text: str
    estimate: Estimate | None
    unit: str
    """`ratio`, `%`, or empty."""
    required: str
    """In words, `≥ 90 %`; empty where nothing is required."""
    verdict: Verdict
    published: str
    """What the dissertation says, with the place; empty where it says nothing."""
    note: str = ""
    """What else there is to say."""


class Comparison(Struct, frozen=True, kw_only=True):
    """A latency of one system against another's, in cells that differ in nothing else."""

    systems: tuple[str, str]
    """Their names: this one's, and what it is compared with."""
    levels: dict[str, Level]
    operation: str
    percentile: int
    ratio: Estimate
    verdict: Verdict


class Form(StrEnum):
    """What a figure shows, and how."""

    BOXES = "boxes"
    CURVES = "curves"
    MEMORY = "memory"
    """By time."""
    PROCESSORS = "processors"
    """By time."""
    BARS = "bars"
    """Memory of the servers."""
    THROUGHPUT = "throughput"
    """Tail latency against answers per second."""


class Figure(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A figure that a plan asks for."""

    form: Form
    title: str
    each: str = ""
    """One figure for each value of this level; none: one figure."""
    series: str = "system"
    """The level whose values are the colours."""
    like: str = ""
    """The dissertation's figure of this form, for instance `figure 5.6`."""


class Experiment(Struct, frozen=True, kw_only=True):
    name: str
    kind: str
    title: str
    about: str
    """What is done and why, and how it differs from the dissertation's set-up: a paragraph or two of plain text."""
    like: str
    """Of the dissertation: `section 5.1, figure 5.1`; empty where it has nothing like it."""
    compression: float
    """Sessions and pauses are this many times shorter than they are said to be; latencies are as measured."""
    cells: list[Cell]
    conclusions: list[Conclusion]
    comparisons: list[Comparison] = []
    figures: list[Figure]


class Summary(Struct, frozen=True, kw_only=True):
    name: str
    title: str
    began: str
    """ISO 8601, UTC."""
    seconds: float
    """Spent measuring, over all times that it was resumed."""
    complete: bool
    runs_done: int
    runs_planned: int
    versions: dict[str, str]
    machine: dict[str, str | int | float]
    experiments: list[Experiment]
