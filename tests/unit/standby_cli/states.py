"""Platforms as they lie in their directories, servers as they are reported, and a program that costs no time."""

from cryptography.x509.oid import NameOID

from app_wrapper.settings import LauncherKind
from attestation import trust
from attestation.measure.manifest import Entry, Kind, Manifest
from attestation.trust import Trust
from standby import pki
from standby.hardening import Layer, Outcome
from standby.ids import BootId, Epoch, Slot, WrapperId
from standby.messages import InstanceView, StateCounts, WrapperState
from standby.states import State, StopReason
from standby_cli import trusted
from standby_cli.authorities import Authorities
from standby_cli.layout import Layout
from standby_cli.measure import Measured
from standby_cli.program import Program

HARDENED = {layer.value: Outcome.APPLIED.value for layer in Layer}


def program(measurement: str = "a" * 64) -> Program:
    manifest = Manifest((Entry(Kind.FILE, "app/server.py", measurement),))
    return Program("smartgrid", Measured(measurement, LauncherKind.SPAWN, manifest))


def simulated_trust(layout: Layout) -> Trust:
    """Make the simulated platform and a policy for it."""
    trusted.make_platform(layout, Authorities(layout).seal)
    layout.policy.write_text(program().policy(1))
    return trust.load(layout.policy)


def instance(
    slot: int,
    state: State = State.READY,
    *,
    wrapper: str = "w1",
    attestation: str | None = "SIMULATED, policy 1",
    hardening: dict[str, str] | None = None,
    reason: StopReason | None = None,
) -> InstanceView:
    return InstanceView(
        wrapper_id=WrapperId(wrapper),
        slot=Slot(slot),
        boot_id=BootId(f"{slot:016x}"),
        address="127.0.0.1",
        port=4000 + slot,
        state=state,
        user=None,
        generation=None,
        reason=reason,
        age_seconds=1.0,
        state_seconds=1.0,
        attestation=attestation,
        hardening=HARDENED if hardening is None else hardening,
    )


def wrapper(
    *instances: InstanceView, name: str = "w1", degraded: str | None = None
) -> WrapperState:
    counts = dict.fromkeys(State, 0)
    for each in instances:
        counts[each.state] += 1
    return WrapperState(
        wrapper_id=WrapperId(name),
        epoch=Epoch(1),
        pool_size=2,
        capacity=2,
        draining=False,
        degraded=degraded,
        counts=StateCounts(**{state.value: number for state, number in counts.items()}),
        instances=[*instances],
    )


def issuer_names(authorities: Authorities, wrapper_id: str) -> list[str | bytes]:
    """The common names of the authority that certifies this wrapper's servers."""
    (certificate,) = pki.load_certificates(authorities.issuer(wrapper_id)[0])[:1]
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return [each.value for each in names]
