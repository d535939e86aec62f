"""Reports over a network that loses them and their answers: the receiver ends up knowing everything."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from app_wrapper.outbox import Outbox, Snapshot
from standby.ids import BootId, Epoch, Slot
from standby.messages import InstanceReport, Report, ReportOutcome, ReportReply
from standby.states import State

slots = st.integers(0, 3)
PARTIAL_BY_DESIGN = {State.READY, State.ACTIVE, State.STOPPED}


class Receiver:
    """The Routing Manager's rules for reports, as simply as possible."""

    def __init__(self) -> None:
        self.epoch = self.sequence = 0
        self.known: dict[BootId, InstanceReport] = {}

    def take(self, report: Report) -> ReportReply:
        outcome = self._outcome(report)
        if outcome is ReportOutcome.ACCEPTED:
            if report.full:
                self.known = {}
            self.known |= {each.boot_id: each for each in report.instances}
            self.epoch, self.sequence = report.epoch, report.sequence
        return ReportReply(outcome=outcome, epoch=Epoch(self.epoch))

    def _outcome(self, report: Report) -> ReportOutcome:
        if (report.epoch, report.sequence) <= (self.epoch, self.sequence):
            return ReportOutcome.STALE
        follows = (report.epoch, report.sequence) == (self.epoch, self.sequence + 1)
        return ReportOutcome.ACCEPTED if report.full or follows else ReportOutcome.RESYNC


class OutboxMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.instances: dict[BootId, InstanceReport] = {}
        self.receiver = Receiver()
        self.outbox = Outbox(Epoch(1))
        self.certain = False
        """Whether the last report and its answer arrived, and nothing has changed since."""

    def _send(self) -> Report:
        snapshot = Snapshot(
            dict(self.instances), 4, draining=False, degraded=None, control_url=None
        )
        return self.outbox.next(snapshot)

    def _answer(self, reply: ReportReply) -> None:
        above = self.outbox.needs_epoch_above(reply)
        if above is not None:
            self.outbox.begin(Epoch(above + 1))
        self.certain = reply.outcome is ReportOutcome.ACCEPTED

    @rule(slot=slots, state=st.sampled_from(sorted(PARTIAL_BY_DESIGN)), life=st.integers(0, 2))
    def an_instance_changes(self, slot: int, state: State, life: int) -> None:
        boot_id = BootId(f"{slot}{life}")
        for other in [each for each in self.instances if each[0] == str(slot)]:
            del self.instances[other]
            self.outbox.changed(other)
        self.instances[boot_id] = InstanceReport(
            slot=Slot(slot), boot_id=boot_id, address="127.0.0.1", port=1, state=state
        )
        self.outbox.changed(boot_id)
        self.certain = False

    @rule(slot=slots)
    def a_slot_vanishes(self, slot: int) -> None:
        for other in [each for each in self.instances if each[0] == str(slot)]:
            del self.instances[other]
            self.outbox.changed(other)
            self.certain = False

    @rule()
    def a_report_arrives(self) -> None:
        if self.outbox.pending:
            self._answer(self.receiver.take(self._send()))

    @rule()
    def a_report_is_lost(self) -> None:
        self._send()
        self.outbox.lost()
        self.certain = False

    @rule()
    def an_answer_is_lost(self) -> None:
        self.receiver.take(self._send())
        self.outbox.lost()
        self.certain = False

    @rule()
    def the_receiver_forgets_everything(self) -> None:
        self.receiver = Receiver()
        self.certain = False

    @rule(epoch=st.integers(0, 9))
    def the_receiver_knows_a_later_epoch(self, epoch: int) -> None:
        self.receiver.epoch = max(self.receiver.epoch, epoch)

    @invariant()
    def what_was_certainly_received_is_the_truth(self) -> None:
        if self.certain:
            assert self.receiver.known == self.instances

    def teardown(self) -> None:
        """Once the network works, a heartbeat and what it asks for are enough."""
        for _ in range(3):
            self.outbox.heartbeat()
            self._answer(self.receiver.take(self._send()))
        assert self.receiver.known == self.instances


TestOutbox = OutboxMachine.TestCase
