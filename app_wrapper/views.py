"""The pool's processes as the messages of the APIs show them. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from app_wrapper.outbox import Snapshot
from app_wrapper.pool import Pool
from app_wrapper.process import Ordered, Process
from standby.ids import BootId, Epoch, WrapperId
from standby.messages import (
    OLDEST,
    Ages,
    InstanceReport,
    InstanceView,
    StateCounts,
    WrapperState,
)


def report_of(process: Process, address: str, now: float) -> InstanceReport:
    """As the Routing Manager is told; the process has a port."""
    return InstanceReport(
        slot=process.slot,
        boot_id=process.boot_id,
        address=address,
        port=process.port or 0,
        state=process.state,
        uid=process.uid,
        generation=process.generation,
        reason=process.reason,
        ticket=process.purpose.ticket if isinstance(process.purpose, Ordered) else None,
        attestation=process.attestation,
        hardening=_layers(process),
        ages=Ages(process=_age(process.launched_at, now), state=_age(process.since, now)),
    )


class _Reports(Mapping[BootId, InstanceReport]):
    """Each is made when it is asked for, because most reports say a few of many."""

    def __init__(self, processes: Sequence[Process], address: str, now: float) -> None:
        self._processes = {each.boot_id: each for each in processes}
        self._address = address
        self._now = now

    def __getitem__(self, boot_id: BootId) -> InstanceReport:
        return report_of(self._processes[boot_id], self._address, self._now)

    def __contains__(self, boot_id: object) -> bool:
        return boot_id in self._processes

    def __iter__(self) -> Iterator[BootId]:
        return iter(self._processes)

    def __len__(self) -> int:
        return len(self._processes)


def snapshot(
    pool: Pool, address: str, control_url: str | None, degraded: str | None, now: float
) -> Snapshot:
    """The wrapper as it is now, for its next report; to be used before anything changes."""
    return Snapshot(
        instances=_Reports(pool.roster.processes(), address, now),
        capacity=pool.limits.capacity,
        draining=pool.draining,
        degraded=degraded,
        control_url=control_url,
    )


def view_of(process: Process, address: str, wrapper_id: WrapperId, now: float) -> InstanceView:
    """As people are shown; the process has a port."""
    return InstanceView(
        wrapper_id=wrapper_id,
        slot=process.slot,
        boot_id=process.boot_id,
        address=address,
        port=process.port or 0,
        state=process.state,
        user=process.uid,
        generation=process.generation,
        reason=process.reason,
        age_seconds=_age(process.launched_at, now),
        state_seconds=_age(process.since, now),
        attestation=process.attestation,
        hardening=_layers(process),
    )


def _age(since: float, now: float) -> float:
    return min(max(0.0, now - since), OLDEST)


def _layers(process: Process) -> dict[str, str]:
    return {layer.value: outcome.value for layer, outcome in process.hardening.items()}


def wrapper_state(
    wrapper_id: WrapperId,
    epoch: Epoch,
    size: int,
    capacity: int,
    degraded: str | None,
    instances: Sequence[InstanceView],
    *,
    draining: bool,
) -> WrapperState:
    """`GET /v1/instances`."""
    return WrapperState(
        wrapper_id=wrapper_id,
        epoch=epoch,
        pool_size=size,
        capacity=capacity,
        draining=draining,
        degraded=degraded,
        counts=StateCounts(**Counter(str(each.state) for each in instances)),
        instances=list(instances),
    )
