"""The core's knowledge as messages: one route, and the whole state."""

from routing_manager.core import Core
from routing_manager.directory import Instance, Wrapper
from standby.messages import InstanceView, PlatformState, Presence, Route, StateCounts, WrapperView


def route(instance: Instance) -> Route:
    told = instance.told
    return Route(
        address=told.address,
        port=told.port,
        state=instance.state,
        wrapper_id=instance.wrapper.wrapper_id,
        slot=told.slot,
        boot_id=told.boot_id,
        generation=told.generation,
    )


def wrapper(record: Wrapper, now: float) -> WrapperView:
    silent = max(0.0, now - record.heard)
    degraded = record.degraded
    if record.presence is Presence.LOST:
        degraded = "lost: it reports no more, and its servers are forgotten"
    elif record.presence is Presence.LEFT:
        degraded = None
    return WrapperView(
        wrapper_id=record.wrapper_id,
        epoch=record.epoch,
        capacity=record.capacity,
        draining=record.draining,
        degraded=degraded,
        silent_seconds=round(silent, 3),
        presence=record.presence,
    )


def platform(core: Core, now: float) -> PlatformState:
    """Everything, wrappers and slots in order. Its cost grows with the platform; routes do not use it."""
    directory = core.directory
    wrappers = [wrapper(each, now) for each in directory.wrappers.values()]
    wrappers += [wrapper(each, now) for each in directory.lost.values()]
    return PlatformState(
        settled=core.settled,
        counts=StateCounts(**{state.value: count for state, count in directory.counts.items()}),
        waiting=len(core.assignments.room),
        wrappers=sorted(wrappers, key=lambda each: each.wrapper_id),
        instances=[
            _instance(instance, now)
            for _, record in sorted(directory.wrappers.items())
            for _, instance in sorted(record.instances.items())
        ],
    )


def _instance(instance: Instance, now: float) -> InstanceView:
    told = instance.told
    return InstanceView(
        wrapper_id=instance.wrapper.wrapper_id,
        slot=told.slot,
        boot_id=told.boot_id,
        address=told.address,
        port=told.port,
        state=instance.state,
        user=instance.user,
        generation=told.generation,
        reason=told.reason,
        age_seconds=round(max(0.0, now - instance.launched), 3),
        state_seconds=round(max(0.0, now - instance.since), 3),
        attestation=told.attestation,
        hardening=told.hardening,
    )
