"""Plans: what an experiment runs, as data.

    title = "Customers at three activities"
    about = "..."
    include = ["startup.toml"]          # other plans' experiments, before this one's

    [[experiment]]
    kind = "sessions"                   # or "startup", "ingress"
    name = "type2"
    systems = ["standby/fork", "trivial/spawn"]     # approach/launcher; these alternate
    users = [105]                       # every list is a level; all combinations are run
    active = [56, 28, 7]
    ...

A cell is one combination of levels; its id names it in the results. Durations are in seconds of the dissertation's time
and are divided by `compression`, except where they say otherwise.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct, field

from bench.experiment.labels import SYSTEM
from bench.experiment.record import Figure, Level, System
from standby.errors import PlatformError

_Some = Annotated[int, Meta(ge=1)]
_Name = Annotated[str, Meta(pattern="^[a-z][a-z0-9-]*$")]
_Ratio = Annotated[float, Meta(ge=0, le=1)]
_Positive = Annotated[float, Meta(gt=0)]
_NotNegative = Annotated[float, Meta(ge=0)]
SYSTEMS: Final = (
    "^(standby|on-demand|trivial)/(fork|spawn|simulated-enclave|simulated-container-enclave)$"
)
_SystemName = Annotated[str, Meta(pattern=SYSTEMS)]
LaunchedBy: TypeAlias = Literal["fork", "spawn", "simulated-enclave", "simulated-container-enclave"]
Routed: TypeAlias = Literal["hook", "hook-first", "static"]


class PlanError(PlatformError):
    """A plan cannot be used; the message says where and why."""

    code = "bad_plan"


class Goal(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Memory that `system` must save against `against`, when `active` users are."""

    system: _SystemName
    against: _SystemName
    active: _Some
    saved: _Ratio


class Common(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of every kind of experiment."""

    name: _Name
    title: str
    about: str
    like: str = ""
    repetitions: _Some = 1
    compression: _Positive = 1.0
    figures: list[Figure] = []


class Startup(Common, frozen=True, kw_only=True, tag_field="kind", tag="startup"):
    """Server processes are started one after another, by each launcher in turn."""

    launchers: Annotated[list[LaunchedBy], Meta(min_length=1)]
    starts: _Some
    """By each launcher, in each repetition; one more before them is not counted."""
    pause: _NotNegative
    """Between two starts."""


class Ingress(Common, frozen=True, kw_only=True, tag_field="kind", tag="ingress"):
    """Connections through the load balancer to many backends."""

    ways: Annotated[list[Routed], Meta(min_length=1)]
    backends: Annotated[list[_Some], Meta(min_length=1)]
    rates: list[_Positive] = []
    """Connections per second, open-loop; real time."""
    clients: list[_Some] = []
    """Connections in flight, closed-loop: as many per second as are answered."""
    seconds: _Positive
    """Of a run; real time."""
    warm_up: _NotNegative = 0.5


class Sessions(Common, frozen=True, kw_only=True, tag_field="kind", tag="sessions"):
    """Users' sessions on a whole platform, under load."""

    systems: Annotated[list[_SystemName], Meta(min_length=1)]
    users: Annotated[list[_Some], Meta(min_length=1)]
    """Enrolled; with the approach `trivial` each has a server."""
    active: list[_Some] = []
    """At most so many have a session at the same time, all users if it is not said; the pool of the other approaches
    has a server for each."""
    write_ratio: list[_Ratio] = []
    """Customers' requests that are WRITEs; the others are QUERY_AVG."""
    period: list[_Positive] = []
    """Between two requests of a customer's session."""
    hours: list[_Some] = []
    """Meters: of 15-second readings in the one LONG_WRITE of a session."""
    session: _Positive = 600.0
    """From LOGIN to LOGOUT (dissertation, section 5.2.1); a meter's session ends with its LONG_WRITE."""
    sessions: _Some = 1
    """Of each active user's place, one after another."""
    pause: _NotNegative = 20.0
    """From a LOGOUT to the next LOGIN at the same place."""
    spread: _NotNegative = 600.0
    """The first sessions begin at random within this time."""
    warm_up: _NotNegative = 0.0
    """From the run's beginning; what is sent in it is in no figure."""
    provisioning_delay: _NotNegative = 0.0
    """Seconds added to each claim of a volume; real time."""
    spare: Annotated[int, Meta(ge=0)] = 0
    """Servers of a pool beyond one for each active user."""
    history: Annotated[int, Meta(ge=0)] = 0
    """Hours of readings that each database holds from the beginning."""
    alone: bool = False
    """No other platform is up meanwhile, so that no memory is shared with its processes."""
    sample: _Positive = 2.0
    """Between two readings of the processes' memory; real time."""
    goals: list[Goal] = []

    def __post_init__(self) -> None:
        """A plan that cannot be run is refused here.

        Raises:
            ValueError: which setting, and why.
        """
        customers = bool(self.write_ratio and self.period)
        if customers == bool(self.hours) or bool(self.write_ratio) != bool(self.period):
            raise ValueError(f"{self.name}: set write_ratio and period, or hours")
        if self.active and max(self.active) > min(self.users):
            raise ValueError(f"{self.name}: more users are active than there are")


ExperimentPlan: TypeAlias = Startup | Ingress | Sessions


class _File(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    title: str
    about: str = ""
    seed: int = 1
    include: list[str] = []
    experiment: list[ExperimentPlan] = field(default_factory=list)


class Plan(Struct, frozen=True, kw_only=True):
    name: str
    title: str
    about: str
    seed: int
    experiments: list[ExperimentPlan]


class CellPlan(Struct, frozen=True, kw_only=True):
    experiment: str
    system: System | None
    levels: Mapping[str, Level]

    @property
    def id(self) -> str:
        parts = [self.experiment]
        if self.system:
            parts.append(self.system.name)
        parts += [
            f"{name}-{value:g}" if isinstance(value, float) else f"{name}-{value}"
            for name, value in self.levels.items()
        ]
        return re.sub(r"[^a-z0-9.]+", "-", "-".join(parts).lower())


def load(file: Path) -> Plan:
    """The plan in a file, with what it includes.

    Raises:
        PlanError: a file cannot be read or used.
    """
    content = _read(file)
    experiments = [
        each for name in content.include for each in load(file.parent / name).experiments
    ] + content.experiment
    names = [each.name for each in experiments]
    if len(set(names)) < len(names):
        raise PlanError(f"{file}: two experiments have the same name")
    if not experiments:
        raise PlanError(f"{file}: there is no [[experiment]] and nothing is included")
    for each in experiments:
        _check(each, file)
    return Plan(
        name=file.stem,
        title=content.title,
        about=content.about,
        seed=content.seed,
        experiments=experiments,
    )


def _check(experiment: ExperimentPlan, file: Path) -> None:
    """Refuse what only a finished measurement would show.

    Raises:
        PlanError: which setting, and why.
    """
    for problem in _problems(experiment):
        raise PlanError(f"{file}: {experiment.name}: {problem}")


def _problems(experiment: ExperimentPlan) -> Iterator[str]:
    planned = list(cells(experiment))
    if not planned:
        yield "it has no runs: set rates, or clients"
    if len({cell.id for cell in planned}) < len(planned):
        yield "a value is named twice, and a run would overwrite another one"
    known = {SYSTEM, *(level for cell in planned for level in cell.levels)}
    for figure in experiment.figures:
        wanted = [name.strip() for name in f"{figure.series},{figure.each}".split(",")]
        for name in {*wanted} - {"", *known}:
            yield f"figure {figure.title!r}: there is no level {name!r}, only {', '.join(sorted(known))}"
    drawn = [(figure.form, figure.series, figure.each) for figure in experiment.figures]
    if len({*drawn}) < len(drawn):
        yield "two figures have the same form, series and each: one would overwrite the other"
    if isinstance(experiment, Sessions):
        yield from _problems_of_goals(experiment)


def _problems_of_goals(experiment: Sessions) -> Iterator[str]:
    for goal in experiment.goals:
        for name in {goal.system, goal.against} - {*experiment.systems}:
            yield f"a goal names the system {name!r}, which is not run"
        if goal.active not in (experiment.active or experiment.users):
            yield f"a goal is for {goal.active} active users, which are not run"


def cells(experiment: ExperimentPlan) -> Iterator[CellPlan]:
    """Every combination of levels; those of one system after another."""
    match experiment:
        case Startup():
            for launcher in experiment.launchers:
                yield CellPlan(
                    experiment=experiment.name, system=None, levels={"launcher": launcher}
                )
        case Ingress():
            loads = [{"rate": rate} for rate in experiment.rates] + [
                {"clients": clients} for clients in experiment.clients
            ]
            for backends, load, way in itertools.product(
                experiment.backends, loads, experiment.ways
            ):
                levels: dict[str, Level] = {"way": way, "backends": backends, **load}
                yield CellPlan(experiment=experiment.name, system=None, levels=levels)
        case Sessions():
            for name, chosen in itertools.product(experiment.systems, _levels(experiment)):
                approach, _, launcher = name.partition("/")
                system = System(approach=approach, launcher=launcher)
                servers = (
                    chosen["users"]
                    if approach == "trivial"
                    else chosen["active"] + experiment.spare
                )
                levels = {"users": chosen["users"], "servers": servers, **chosen}
                yield CellPlan(experiment=experiment.name, system=system, levels=levels)


def _levels(experiment: Sessions) -> Iterator[dict[str, Any]]:
    varied: dict[str, Sequence[Level]] = {
        "users": experiment.users,
        "active": experiment.active,
        "write_ratio": experiment.write_ratio,
        "period": experiment.period,
        "hours": experiment.hours,
    }
    used = {name: values for name, values in varied.items() if values}
    for values in itertools.product(*used.values()):
        chosen = dict(zip(used, values, strict=True))
        yield {"users": chosen["users"], "active": chosen["users"], **chosen}


def _read(file: Path) -> _File:
    try:
        return msgspec.toml.decode(file.read_bytes(), type=_File)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise PlanError(f"cannot use the plan {file}: {error}") from error
