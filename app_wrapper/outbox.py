"""What the next report says, and what an answer means for the one after it. Pure.

Level-triggered: whenever it is not certain that the Routing Manager knows everything (first report, one that was lost
or refused, an instance that changed and is no longer there to be shown), the next report is full.

A report is held against the bounds that its receiver checks before it is sent: an entry that breaks one is left out,
so that whatever got into it costs no other process its place in the report. What the Routing Manager says about this
wrapper is believed within reason: it may know a later epoch, but not one that no wrapper can have reached.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from standby import decode
from standby.decode import UnreadableError
from standby.ids import BootId, Epoch, believable
from standby.messages import InstanceReport, Report, ReportOutcome, ReportReply


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The wrapper as it is now."""

    instances: Mapping[BootId, InstanceReport]
    capacity: int
    draining: bool
    degraded: str | None
    control_url: str | None


class EpochNotBelievedError(ValueError):
    """The Routing Manager knows an epoch of this wrapper that it cannot have had."""


def encoded(report: Report) -> tuple[bytes, list[InstanceReport]]:
    """The report as it is sent, and the entries that were left out because its receiver would refuse them.

    Raises:
        UnreadableError: the receiver would refuse it without any entry, too.
    """
    try:
        return decode.checked_json(report), []
    except UnreadableError:
        kept: list[InstanceReport] = []
        left_out: list[InstanceReport] = []
        for each in report.instances:
            (kept if _fits(each) else left_out).append(each)
    return decode.checked_json(replace(report, instances=kept)), left_out


def _fits(entry: InstanceReport) -> bool:
    try:
        decode.checked_json(entry)
    except UnreadableError:
        return False
    return True


class Outbox:
    """Which changes have not been reported, and the numbers of the next report."""

    def __init__(self, epoch: Epoch) -> None:
        self.epoch = epoch
        self._sequence = 0
        self._changed: set[BootId] = set()
        self._full_due = True
        self._news = True
        self._leaving = False

    @property
    def pending(self) -> bool:
        """Whether there is something to say before the next heartbeat."""
        return self._news

    def changed(self, boot_id: BootId | None = None) -> None:
        """An instance has changed; without one, something about the wrapper as a whole."""
        self._news = True
        if boot_id is not None:
            self._changed.add(boot_id)

    def heartbeat(self) -> None:
        """The next report is due even without news, and is full."""
        self._full_due = self._news = True

    def leave(self) -> None:
        """The next report is to be the last one, and says so."""
        self._leaving = True
        self.heartbeat()

    def next(self, now: Snapshot) -> Report:
        """The report to be sent now."""
        full = self._full_due or not self._changed <= now.instances.keys()
        shown = now.instances if full else self._changed
        self._sequence += 1
        self._changed, self._full_due, self._news = set(), False, False
        return Report(
            epoch=self.epoch,
            sequence=self._sequence,
            full=full,
            instances=[now.instances[boot_id] for boot_id in shown],
            capacity=now.capacity,
            draining=now.draining,
            leaving=self._leaving,
            degraded=now.degraded,
            control_url=now.control_url,
        )

    def lost(self) -> None:
        """The last report was not answered."""
        self.heartbeat()

    def needs_epoch_above(self, reply: ReportReply) -> Epoch | None:
        """Take the answer; if our reports count as late ones, the epoch above which we must continue.

        Raises:
            EpochNotBelievedError: that epoch was never this wrapper's.
        """
        if reply.outcome is ReportOutcome.RESYNC:
            self.heartbeat()
        if reply.outcome is not ReportOutcome.STALE:
            return None
        self.heartbeat()
        if not believable(reply.epoch, self.epoch):
            raise EpochNotBelievedError(
                f"it knows epoch {reply.epoch}, which this wrapper (now in epoch {self.epoch}) never had: another has "
                "this wrapper's certificate, or its state directory was exchanged"
            )
        return max(reply.epoch, self.epoch)

    def begin(self, epoch: Epoch) -> None:
        """Continue in a new epoch, with everything to be said again."""
        self.epoch = epoch
        self._sequence = 0
        self.heartbeat()
