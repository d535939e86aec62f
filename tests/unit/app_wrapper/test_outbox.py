from app_wrapper.outbox import Outbox, Snapshot
from standby.ids import BootId, Epoch, Slot
from standby.messages import InstanceReport, ReportOutcome, ReportReply
from standby.states import State


def _snapshot(*boots: str) -> Snapshot:
    instances = {
        BootId(boot): InstanceReport(
            slot=Slot(slot),
            boot_id=BootId(boot),
            address="127.0.0.1",
            port=1,
            state=State.READY,
        )
        for slot, boot in enumerate(boots)
    }
    return Snapshot(instances, 2, draining=False, degraded=None, control_url=None)


def _reply(outcome: ReportOutcome, epoch: int = 1) -> ReportReply:
    return ReportReply(outcome=outcome, epoch=Epoch(epoch))


def _settled() -> Outbox:
    outbox = Outbox(Epoch(1))
    outbox.next(_snapshot("a", "b"))
    outbox.needs_epoch_above(_reply(ReportOutcome.ACCEPTED))
    return outbox


def test_the_first_report_is_full() -> None:
    outbox = Outbox(Epoch(1))
    assert outbox.pending
    report = outbox.next(_snapshot("a", "b"))
    assert (report.full, report.sequence, len(report.instances)) == (True, 1, 2)
    assert not outbox.pending


def test_changes_go_together_into_one_partial_report() -> None:
    outbox = _settled()
    for _ in range(3):
        outbox.changed(BootId("b"))
    report = outbox.next(_snapshot("a", "b"))
    assert (report.full, report.sequence) == (False, 2)
    assert [each.boot_id for each in report.instances] == ["b"]


def test_a_changed_instance_that_is_no_longer_there_makes_the_report_full() -> None:
    outbox = _settled()
    outbox.changed(BootId("gone"))
    assert outbox.next(_snapshot("a")).full


def test_a_change_of_the_wrapper_as_a_whole_needs_no_instances() -> None:
    outbox = _settled()
    outbox.changed()
    report = outbox.next(_snapshot("a", "b"))
    assert (report.full, report.instances) == (False, [])


def test_the_last_report_is_full_and_says_that_it_is_the_last() -> None:
    outbox = _settled()
    outbox.leave()
    report = outbox.next(_snapshot("a"))
    assert (report.full, report.leaving) == (True, True)
    outbox.lost()
    assert outbox.next(_snapshot("a")).leaving, "one that was not answered is said again"


def test_after_a_lost_report_everything_is_said_again() -> None:
    outbox = _settled()
    outbox.changed(BootId("a"))
    outbox.next(_snapshot("a", "b"))
    outbox.lost()
    assert outbox.pending
    report = outbox.next(_snapshot("a", "b"))
    assert (report.full, report.sequence) == (True, 3)


def test_resync_is_answered_in_full() -> None:
    outbox = _settled()
    assert outbox.needs_epoch_above(_reply(ReportOutcome.RESYNC)) is None
    assert outbox.pending
    assert outbox.next(_snapshot("a")).full


def test_stale_asks_for_an_epoch_above_the_known_one() -> None:
    outbox = _settled()
    assert outbox.needs_epoch_above(_reply(ReportOutcome.STALE, 7)) == 7
    outbox.begin(Epoch(8))
    report = outbox.next(_snapshot("a"))
    assert (report.epoch, report.sequence, report.full) == (8, 1, True)


def test_stale_in_the_same_epoch_is_left_too() -> None:
    """Otherwise a wrapper whose state directory was restored would be refused until it caught up."""
    assert _settled().needs_epoch_above(_reply(ReportOutcome.STALE, 1)) == 1
