"""What became of each layer, for the log and `standby status`."""

from enum import StrEnum

from msgspec import Struct

from standby.hardening.plan import Layer


class Outcome(StrEnum):
    APPLIED = "applied"
    PARTLY = "partly"
    """Applied, but this kernel's version of it lacks something that the text names."""
    UNSUPPORTED = "unsupported"
    """Not by this kernel; a uid of its own: not by whoever started the platform."""
    FAILED = "failed"
    """It could be had here and was not: the kernel refused, or no uid was given."""
    OFF = "off"
    """Not tried, because the settings say so."""


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

    @property
    def excused(self) -> tuple[LayerReport, ...]:
        """Missing layers that are no error even if all are required: a uid that only root could give.

        Who starts the platform as somebody else has chosen that; no other kernel or setting of servers would help, so
        `required` would only mean that nothing ever starts. What it demands is all that can be had here: where the
        process is root, the uid is among that.
        """
        return tuple(
            each
            for each in self.missing
            if each.layer is Layer.OWN_UID and each.outcome is Outcome.UNSUPPORTED
        )

    @property
    def unmet(self) -> tuple[LayerReport, ...]:
        """Missing layers that are an error where all are required."""
        return tuple(each for each in self.missing if each not in self.excused)
