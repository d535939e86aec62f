"""What the next report says, and what an answer means for the one after it. Pure.

Level-triggered: whenever it is not certain that the Routing Manager knows everything (first report, one that was lost
or refused, an instance that changed and is no longer there to be shown), the next report is full.
"""

from dataclasses import dataclass

from standby.ids import BootId, Epoch
from standby.messages import InstanceReport, Report, ReportOutcome, ReportReply


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The wrapper as it is now."""

    instances: dict[BootId, InstanceReport]
    capacity: int
    draining: bool
    degraded: str | None
    control_url: str | None


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
        shown = now.instances if full else {boot: now.instances[boot] for boot in self._changed}
        self._sequence += 1
        self._changed, self._full_due, self._news = set(), False, False
        return Report(
            epoch=self.epoch,
            sequence=self._sequence,
            full=full,
            instances=list(shown.values()),
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
        """Take the answer; if our reports count as late ones, the epoch above which we must continue."""
        if reply.outcome is ReportOutcome.RESYNC:
            self.heartbeat()
        if reply.outcome is ReportOutcome.STALE:
            self.heartbeat()
            return max(reply.epoch, self.epoch)
        return None

    def begin(self, epoch: Epoch) -> None:
        """Continue in a new epoch, with everything to be said again."""
        self.epoch = epoch
        self._sequence = 0
        self.heartbeat()
