"""What the pool makes of servers that prove what they are, or do not."""

from collections.abc import Mapping

from app_wrapper.actions import Kill, Launch, Report
from app_wrapper.events import Attested, Login, NotAttested, Waiting
from app_wrapper.pool import Pool
from standby.hardening import Layer, Outcome
from standby.ids import BootId, Uid
from standby.states import State, StopReason
from tests.support.pools import launched, log_in, make_pool, only

LAYERS: Mapping[Layer, Outcome] = {Layer.SECCOMP: Outcome.APPLIED}
BY = Attested("SIMULATED, policy 3", LAYERS)
REFUSED = NotAttested("mrenclave", "mrenclave: expected 3a…, found 5b…", lasting=True)


def _one(size: int = 1) -> tuple[Pool, BootId]:
    pool = make_pool(size, channel=True, concurrent_starts=size)
    boot, *_ = launched(pool.start(0.0))
    pool.launched(boot, 4000, 0.0)
    return pool, boot


def _state(pool: Pool, boot_id: BootId) -> State | None:
    process = pool.process(boot_id)
    return process.state if process else None


def test_a_server_is_ready_once_it_was_attested_and_shows_by_what() -> None:
    pool, boot = _one()
    pool.said(boot, BY, 0.0)
    assert _state(pool, boot) is State.STARTING
    (report,) = only(Report, pool.said(boot, Waiting(), 0.0))
    assert report.process.state is State.READY
    assert (report.process.attestation, report.process.hardening) == (BY.by, LAYERS)


def test_a_server_that_waits_for_a_user_without_proof_is_killed() -> None:
    pool, boot = _one()
    actions = pool.said(boot, Waiting(), 0.0)
    assert [each.boot_id for each in only(Kill, actions)] == [boot]
    pool.exited(boot, "killed by SIGKILL", 0.1)
    assert "without having been attested" in (pool.degraded() or "")


def test_a_users_own_server_needs_proof_as_well() -> None:
    pool = make_pool(0, channel=True)
    pool.start(0.0)
    (boot,) = launched(pool.dedicate(Uid("anna"), 0.0))
    pool.launched(boot, 4000, 0.0)
    actions = pool.said(boot, Login(Uid("anna")), 0.0)
    assert [each.boot_id for each in only(Kill, actions)] == [boot]


def test_a_refused_server_is_killed_and_the_wrapper_says_why() -> None:
    pool, boot = _one()
    actions = pool.said(boot, REFUSED, 0.0)
    (end,) = only(Report, actions)
    assert (end.process.reason, end.why) == (StopReason.UNATTESTED, f"not attested: {REFUSED.why}")
    assert [each.boot_id for each in only(Kill, actions)] == [boot]
    pool.exited(boot, "killed by SIGKILL", 0.1)
    assert f"not attested: {REFUSED.why}" in (pool.degraded() or "")


def test_what_would_refuse_the_next_one_too_is_tried_again_late_and_one_at_a_time() -> None:
    pool, boot = _one(size=3)
    others = [each for each in pool.roster if each.process and each.process.boot_id != boot]
    for seat in others:
        assert seat.process is not None
        pool.exited(seat.process.boot_id, "exit status 78", 0.0, lasting=True)
    pool.said(boot, REFUSED, 0.0)
    pool.exited(boot, "killed by SIGKILL", 0.1)
    assert only(Launch, pool.tick(7.9)) == []
    assert len(only(Launch, pool.tick(8.2))) == 1


def test_a_waiting_server_that_cannot_renew_its_proof_ends() -> None:
    pool, boot = _one()
    pool.said(boot, BY, 0.0)
    pool.said(boot, Waiting(), 0.0)
    actions = pool.said(boot, REFUSED, 1200.0)
    assert [each.boot_id for each in only(Kill, actions)] == [boot]


def test_a_waiting_server_that_may_renew_its_proof_later_stays() -> None:
    pool, boot = _one()
    pool.said(boot, BY, 0.0)
    pool.said(boot, Waiting(), 0.0)
    passing = NotAttested("audit_log_unusable", "the disk is full", lasting=False)
    assert only(Kill, pool.said(boot, passing, 1200.0)) == []
    assert _state(pool, boot) is State.READY


def test_one_waiting_server_that_misbehaves_does_not_keep_others_from_starting() -> None:
    pool, boot = _one()
    pool.said(boot, BY, 0.0)
    pool.said(boot, Waiting(), 0.0)
    pool.said(boot, NotAttested("broken_channel", "nonsense", lasting=True), 9.0)
    pool.exited(boot, "killed by SIGKILL", 9.1)
    assert len(only(Launch, pool.tick(10.2))) == 1


def test_a_session_goes_on_when_its_server_cannot_renew_its_proof() -> None:
    pool, boot = _one()
    pool.said(boot, BY, 0.0)
    pool.said(boot, Waiting(), 0.0)
    log_in(pool, boot)
    assert only(Kill, pool.said(boot, REFUSED, 1200.0)) == []
    assert _state(pool, boot) is State.ACTIVE


def test_a_renewed_proof_changes_nothing_but_what_is_shown() -> None:
    pool, boot = _one()
    pool.said(boot, BY, 0.0)
    pool.said(boot, Waiting(), 0.0)
    log_in(pool, boot)
    pool.said(boot, Attested("SIMULATED, policy 4", LAYERS), 1200.0)
    process = pool.process(boot)
    assert process is not None
    assert (process.state, process.attestation) == (State.ACTIVE, "SIMULATED, policy 4")
