"""What `standby status` asks, and of whom.

The Routing Manager knows the whole platform. While it does not answer, or where there is none (approach `trivial`), the
wrappers are asked themselves; each knows its own servers, and neither reservations nor users who wait. What the
supervisor knows of each part is added in any case: it is there as long as the platform is.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec
from msgspec import Struct

from standby.messages import InstanceView, PlatformState, StateCounts, WrapperState, WrapperView
from standby_cli import assurance
from standby_cli.control import Control, NoAnswerError
from standby_cli.endpoints import Endpoints
from standby_cli.part_names import ROUTING_MANAGER
from standby_cli.part_record import PartRecord

T = TypeVar("T")


class PartView(Struct, frozen=True, kw_only=True):
    """One part as its supervisor sees it."""

    name: str
    pid: int | None
    """None while it does not run."""
    wanted: bool
    """False once it was asked to leave."""
    seconds: float
    """Since it was started, or since it ended."""
    ends: int
    last_exit: str | None

    @property
    def away(self) -> bool:
        """It should run and does not."""
        return self.wanted and self.pid is None


class Status(Struct, frozen=True, kw_only=True):
    """`standby status --json`."""

    approach: str
    away: list[str]
    """What should be there and is not, or does not answer: a sentence for each part."""
    seen_by: str
    """Who has told what follows: `routing-manager`, or `wrappers`, each for itself."""
    counts: StateCounts
    waiting: int
    """Users in the waiting room; 0 where only wrappers were asked."""
    degraded: list[str]
    """What keeps the platform from its full size, in words."""
    attestation: str
    """By what the servers that are up were admitted, in words."""
    logins_unproved: list[str]
    """Servers that are believed about who their user is, as `wrapper/slot`; they have no channel to their wrapper."""
    hardening_missing: dict[str, list[str]]
    """Layers that some of these servers lack, and which servers, as `wrapper/slot`."""
    wrappers: list[WrapperView]
    instances: list[InstanceView]
    parts: list[PartView]


class _Questions:
    """What was asked of the parts, and who did not answer."""

    def __init__(self, calls: Control, parts: Mapping[str, PartView]) -> None:
        self._calls = calls
        self._parts = parts
        self.away = {name: _ended(part) for name, part in parts.items() if part.away}

    async def ask(self, name: str, url: str, kind: type[T]) -> T | None:
        """The part's answer; None if it does not answer, which is noted.

        Raises:
            CallError: it refused.
        """
        if name in self.away:
            return None
        try:
            return await self._calls.get(url, kind)
        except NoAnswerError as error:
            part = self._parts.get(name)
            since = f", and runs for {duration(part.seconds)}" if part and part.pid else ""
            pid = f" (pid {part.pid}{since})" if part and part.pid else ""
            self.away[name] = f"{name}{pid} does not answer: {error.why}"
            return None


async def collect(running: Endpoints, calls: Control, records: Sequence[PartRecord] = ()) -> Status:
    """Ask the running platform, and where the Routing Manager is away whoever else answers.

    Raises:
        CallError: a part refused.
    """
    now = time.monotonic()
    parts = {each.name: _part(each, now) for each in records}
    questions = _Questions(calls, parts)
    state = None
    if running.routing_manager is not None:
        url = f"{running.routing_manager.url}/v1/state"
        state = await questions.ask(ROUTING_MANAGER, url, PlatformState)
    if state is not None:
        status = _by_manager(running, state)
    else:
        asked = await asyncio.gather(
            *(
                questions.ask(each.id, f"{each.url}/v1/instances", WrapperState)
                for each in running.wrappers
            )
        )
        status = _by_wrappers(running, [each for each in asked if each is not None])
    return msgspec.structs.replace(status, away=[*questions.away.values()], parts=[*parts.values()])


def _by_manager(running: Endpoints, state: PlatformState) -> Status:
    ours = {each.id for each in running.wrappers}
    wrappers = [each for each in state.wrappers if each.wrapper_id in ours]  # not those that left
    degraded = [f"{each.wrapper_id}: {each.degraded}" for each in wrappers if each.degraded]
    missing = ours - {each.wrapper_id for each in wrappers}
    degraded += [f"{each}: does not report" for each in sorted(missing)]
    if not state.settled:
        degraded.append("routing manager: has just started and is learning what there is")
    return Status(
        approach=running.approach,
        away=[],
        seen_by=ROUTING_MANAGER,
        counts=state.counts,
        waiting=state.waiting,
        degraded=degraded,
        attestation=assurance.attestation(state.instances),
        logins_unproved=assurance.unproved(state.instances),
        hardening_missing=assurance.missing(state.instances),
        wrappers=wrappers,
        instances=state.instances,
        parts=[],
    )


def _by_wrappers(running: Endpoints, states: Sequence[WrapperState]) -> Status:
    instances = [instance for state in states for instance in state.instances]
    counts = Counter(instance.state.value for instance in instances)
    return Status(
        approach=running.approach,
        away=[],
        seen_by="wrappers",
        counts=StateCounts(**counts),
        waiting=0,
        degraded=[f"{each.wrapper_id}: {each.degraded}" for each in states if each.degraded],
        attestation=assurance.attestation(instances),
        logins_unproved=assurance.unproved(instances),
        hardening_missing=assurance.missing(instances),
        wrappers=[
            WrapperView(
                wrapper_id=each.wrapper_id,
                epoch=each.epoch,
                capacity=each.capacity,
                draining=each.draining,
                degraded=each.degraded,
                silent_seconds=0,
            )
            for each in states
        ],
        instances=instances,
        parts=[],
    )


def _part(record: PartRecord, now: float) -> PartView:
    return PartView(
        name=record.name,
        pid=record.pid,
        wanted=record.wanted,
        seconds=round(max(0.0, now - record.since), 3),
        ends=record.ends,
        last_exit=record.last_exit,
    )


def _ended(part: PartView) -> str:
    how = f"{part.last_exit}; " if part.last_exit else ""
    return (
        f"{part.name} has not run for {duration(part.seconds)}: {how}it is started again by itself"
    )


def duration(seconds: float) -> str:
    """`3.2 s`, `5 min`, `2.0 h`: short, with the precision a person can use."""
    minute, hour = 60, 3600
    if seconds < minute:
        return f"{seconds:.1f} s"
    return f"{seconds / minute:.0f} min" if seconds < hour else f"{seconds / hour:.1f} h"
