"""What the platform's servers are known to be: by what they were admitted, and which hardening each lacks. Pure.

Only servers that are up count: one that is starting has not been asked yet. What a server says of its hardening is its
own word; it is there to find a kernel that lacks something, not to prove anything.
"""

from collections import Counter
from collections.abc import Sequence

from standby.hardening import Layer, Outcome
from standby.messages import InstanceView
from standby.states import State

_UP = {State.READY, State.RESERVED, State.ACTIVE}
_FEW = 4
"""Instances that are named one by one."""


def attestation(instances: Sequence[InstanceView]) -> str:
    """By what the servers were admitted, in words; numbers if it is not the same for all."""
    counts = Counter(each.attestation or "none" for each in _up(instances))
    if not counts:
        return "no server is up"
    if len(counts) == 1:
        return next(iter(counts))
    return "; ".join(f"{number} by {text}" for text, number in sorted(counts.items()))


def unproved(instances: Sequence[InstanceView]) -> list[str]:
    """Servers that are believed about who their user is, as `wrapper/slot`: they have no channel for a user's proof.

    A server that has one is up only after it was admitted over it, also where nothing is attested.
    """
    return [_name(each) for each in _up(instances) if each.attestation is None]


def logins(instances: Sequence[InstanceView]) -> str | None:
    """The same in words; None: every LOGIN is proved."""
    names = unproved(instances)
    if not names:
        return None
    return f"believed without the user's proof on {_who(names, len(_up(instances)))}"


def missing(instances: Sequence[InstanceView]) -> dict[str, list[str]]:
    """The layers that some servers lack, and which these are, as `wrapper/slot`."""
    lacks = {
        layer.value: [_name(each) for each in _up(instances) if _lacks(each, layer)]
        for layer in Layer
    }
    return {layer: names for layer, names in lacks.items() if names}


def hardening(instances: Sequence[InstanceView]) -> list[str]:
    """What is missing, in words: one line for layers that the same servers lack. Nothing: all have all layers.

    A uid that only root could give is not counted: who starts the platform as somebody else has chosen that.
    """
    up = _up(instances)
    together: dict[tuple[str, ...], list[str]] = {}
    for layer in Layer:
        names = tuple(
            _name(each) for each in up if _lacks(each, layer) and not _excused(each, layer)
        )
        if names:
            together.setdefault(names, []).append(layer)
    return [
        f"{_layers(layers)} missing on {_who(names, len(up))}{_where_it_says_why(layers, names)}"
        for names, layers in together.items()
    ]


def without_own_uid(instances: Sequence[InstanceView]) -> bool:
    """Whether there are servers without a uid of their own because they were not started as root."""
    return any(_excused(each, Layer.OWN_UID) for each in _up(instances))


def of_instance(instance: InstanceView) -> str:
    """One server's layers that are not whole."""
    outcomes = instance.hardening
    if instance.state not in _UP:
        return ""
    if not outcomes:
        return "none"
    texts = [
        f"{layer} {outcomes.get(layer, 'not tried')}"
        for layer in Layer
        if outcomes.get(layer) != Outcome.APPLIED
    ]
    return ", ".join(texts) or "all layers"


def _up(instances: Sequence[InstanceView]) -> list[InstanceView]:
    return [each for each in instances if each.state in _UP]


def _lacks(instance: InstanceView, layer: Layer) -> bool:
    return instance.hardening.get(layer) not in {Outcome.APPLIED, Outcome.PARTLY}


def _excused(instance: InstanceView, layer: Layer) -> bool:
    """As `standby.hardening.Report.excused`."""
    return layer is Layer.OWN_UID and instance.hardening.get(layer) == Outcome.UNSUPPORTED


def _name(instance: InstanceView) -> str:
    return f"{instance.wrapper_id}/{instance.slot}"


def _layers(layers: Sequence[str]) -> str:
    return "all layers" if len(layers) == len(Layer) else ", ".join(layers)


def _where_it_says_why(layers: Sequence[str], names: Sequence[str]) -> str:
    """For a uid of one's own, as two parts have a say in it; without any layer, hardening is off."""
    if Layer.OWN_UID not in layers or len(layers) == len(Layer):
        return ""
    wrapper_ids = list(dict.fromkeys(name.partition("/")[0] for name in names))
    logs = ", ".join(f"logs/{each}.log" for each in wrapper_ids[:_FEW])
    return f" (why: `not_hardened` and `servers_get_no_uids` in {logs})"


def _who(names: Sequence[str], total: int) -> str:
    if len(names) == total:
        return "every server" if total > 1 else "the one server"
    shown = ", ".join(names[:_FEW])
    return f"{shown} and {len(names) - _FEW} others" if len(names) > _FEW else shown
