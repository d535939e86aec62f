"""What became of each layer, for the log and `standby status`."""

from enum import StrEnum

from msgspec import Struct

from standby.hardening.plan import Layer


class Outcome(StrEnum):
    APPLIED = "applied"
    PARTLY = "partly"
    """Applied, but this kernel's version of it lacks something that the text names."""
    UNSUPPORTED = "unsupported"
    """Not by this kernel."""
    FAILED = "failed"
    """The kernel has it and refused."""


class LayerReport(Struct, frozen=True, kw_only=True):
    layer: Layer
    outcome: Outcome
    text: str = ""


class Report(Struct, frozen=True):
    """One entry for each layer of the plan, in the order in which they were tried."""

    layers: tuple[LayerReport, ...]

    @property
    def missing(self) -> tuple[LayerReport, ...]:
        """Layers that do not protect this process at all."""
        return tuple(
            each for each in self.layers if each.outcome in {Outcome.UNSUPPORTED, Outcome.FAILED}
        )
