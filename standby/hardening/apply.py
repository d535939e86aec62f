"""Applies a plan to the calling process, layer by layer, and says what became of each."""

import contextlib
from collections.abc import Callable
from functools import partial
from typing import Final

from standby.hardening import landlock, own_uid, process, readiness, seccomp
from standby.hardening.errors import HardeningError, UnsupportedError
from standby.hardening.plan import Layer, Places, Plan
from standby.hardening.report import LayerReport, Outcome, Report

Apply = Callable[[], str | landlock.Applied]
_ONE_CALL: Final[dict[Layer, Apply]] = {
    Layer.RLIMITS: process.limit_resources,
    Layer.NOT_DUMPABLE: process.not_dumpable,
    Layer.NO_NEW_PRIVS: process.no_new_privs,
    Layer.MDWE: process.refuse_exec_gain,
}


def harden(plan: Plan) -> Report:
    """Apply the plan's layers, in order; once in a process, before it has a second thread or an event loop.

    Layers after one that cannot be applied are applied all the same.

    Raises:
        HardeningError: as `readiness.check`; or `plan.required`, and a layer could not be applied that is not excused
            (`Report.unmet`). End the process.
    """
    readiness.check()
    report = Report(
        tuple(_tried(layer, _applier(layer, plan)) for layer in Layer if layer in plan.layers)
    )
    if plan.required and report.unmet:
        raise HardeningError(_complaint(report.unmet), report)
    return report


def rehearse(plan: Plan) -> Report:
    """Everything but the applying, for a template: what this makes and loads, servers that are forked later share.

    The report says what would fail. Threads and event loops of the template do not matter.
    """
    with contextlib.suppress(HardeningError):
        readiness.check()
    rehearsed: dict[Layer, Apply] = {
        Layer.LANDLOCK: partial(landlock.rehearse, plan.places, plan.ports),
        Layer.SECCOMP: partial(seccomp.rehearse, sockets=bool(plan.ports)),
    }
    tries = ((layer, rehearsed.get(layer, process.rehearse)) for layer in Layer)
    return Report(tuple(_tried(layer, apply) for layer, apply in tries if layer in plan.layers))


def narrow(places: Places, *, required: bool = False) -> LayerReport:
    """From now on only these of the places that could be opened before; ports are not changed (none can be bound).

    Holds for the calling thread and those it starts later, not for others.

    Raises:
        HardeningError: `required`, and it could not be done. End the process.
    """
    report = _tried(Layer.LANDLOCK, partial(landlock.restrict, places, ()))
    if required and report.outcome not in {Outcome.APPLIED, Outcome.PARTLY}:
        raise HardeningError(_complaint((report,)), Report((report,)))
    return report


def _applier(layer: Layer, plan: Plan) -> Apply:
    match layer:
        case Layer.OWN_UID:
            return partial(own_uid.change, plan.run_as)
        case Layer.RLIMITS | Layer.NOT_DUMPABLE | Layer.NO_NEW_PRIVS | Layer.MDWE:
            return _ONE_CALL[layer]
        case Layer.LANDLOCK:
            return partial(landlock.restrict, plan.places, plan.ports)
        case Layer.SECCOMP:
            return partial(seccomp.filter_calls, sockets=bool(plan.ports))


def _tried(layer: Layer, apply: Apply) -> LayerReport:
    try:
        done = apply()
    except UnsupportedError as error:
        return LayerReport(layer=layer, outcome=Outcome.UNSUPPORTED, text=str(error))
    except (OSError, ValueError) as error:
        return LayerReport(layer=layer, outcome=Outcome.FAILED, text=str(error))
    if isinstance(done, str):
        return LayerReport(layer=layer, outcome=Outcome.APPLIED, text=done)
    if done.lacks:
        text = f"{done.text}; this kernel cannot refuse: {', '.join(done.lacks)}"
        return LayerReport(layer=layer, outcome=Outcome.PARTLY, text=text)
    return LayerReport(layer=layer, outcome=Outcome.APPLIED, text=done.text)


def _complaint(missing: tuple[LayerReport, ...]) -> str:
    listed = "; ".join(f"{each.layer} ({each.outcome}: {each.text})" for each in missing)
    return f"the process is not protected as required: {listed}"
