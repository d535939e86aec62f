"""After the platform has ended: reads histories, logs and databases, and puts the result together."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app_wrapper.volumes.hostpath import HostPathVolumes
from bench import machine
from bench.faults import conditions, history, impact, logs, report, stored, verdict
from bench.faults.conditions import Evidence
from bench.faults.history import History
from bench.faults.place import Options, Place
from bench.faults.plan import Deed, Kind
from bench.faults.report import Result
from bench.faults.sent import Sent, Table
from bench.faults.stored import Contents
from bench.faults.verdict import UserEvidence, Wrong
from bench.faults.watch import TwoWriters
from bench.platform import Access
from smartgrid_client.requests import Operation
from smartgrid_server import database
from standby.errors import PlatformError
from standby.identity import Role
from standby.ids import Uid


@dataclass(frozen=True, slots=True)
class Storm:
    """What is known when the platform ends."""

    seconds: float
    interrupted: bool
    trouble: str
    """What was still wrong long after the faults, in words; empty: nothing."""
    made_up: int
    looks: int
    opens: int
    two_writers: list[TwoWriters]


def compare(
    options: Options, place: Place, storm: Storm, accesses: Mapping[tuple[Uid, Role], Access]
) -> Result:
    """The result of a run whose platform has ended."""
    histories = [history.read(file) for file in sorted(place.histories.iterdir())]
    faults = history.read_faults(place.faults)
    names = sorted(each.name for each in (place.layout.root / "wrappers").iterdir())
    lines = logs.read(place.layout.logs)
    lives = logs.lives(lines)
    users = [
        _evidence(access, place, histories)
        for (_, role), access in accesses.items()
        if role is Role.CUSTOMER
    ]
    findings = verdict.judge(users, lives, storm.two_writers, str(place.writers))
    wrongs = report.wrongs(findings)
    on_open, failed = impact.failed_by_routing_manager(histories, faults, lives)
    operations = report.tally(histories)
    sent = [item for user in users for item in Sent(user.user, user.histories).items]
    done = [item for item in sent if item.acknowledged]
    logins = [wait for each in histories for wait in history.login_waits(each)]
    evidence = Evidence(
        findings=findings,
        failed_requests=failed,
        refused_for_good=report.refused_for_good(histories),
        faults=faults,
        trouble=storm.trouble,
        opens=storm.opens,
        sessions=operations[Operation.LOGIN].done,
        acknowledged=len(done),
        on_open=on_open,
        root=str(place.root),
    )
    failures, lacking = conditions.failures(evidence), conditions.lacking(evidence)
    return Result(
        judgement=conditions.judge(failures, lacking),
        failures=failures,
        lacking=lacking,
        acknowledged_batches=sum(item.table is Table.READINGS for item in done),
        lost_rows=wrongs[Wrong.LOST_ROWS],
        duplicated_rows=wrongs[Wrong.DUPLICATED_ROWS],
        foreign_rows=wrongs[Wrong.FOREIGN_ROWS],
        processes_with_two_users=wrongs[Wrong.TWO_USERS],
        concurrent_writers=wrongs[Wrong.TWO_WRITERS],
        stuck_users=wrongs[Wrong.STUCK],
        lost_alarms=wrongs[Wrong.LOST_ALARMS],
        unreadable_databases=wrongs[Wrong.UNREADABLE],
        kills=report.faults_by_kind(faults, Deed.KILL),
        stops=report.faults_by_kind(faults, Deed.STOP),
        terminations=report.faults_by_kind(faults, Deed.TERMINATE),
        floods=sum(fault.deed is Deed.FLOOD for fault in faults),
        made_up_names=storm.made_up,
        requests_failed_on_open_connections_by_routing_manager_kill=len(failed),
        requests_on_open_connections_during_routing_manager_kills=on_open,
        failed_requests=failed,
        refused_for_good=dict(evidence.refused_for_good),
        unavailable_seconds=impact.unavailable(histories, faults, Deed.KILL),
        unavailable_seconds_stopped=impact.unavailable(histories, faults, Deed.STOP),
        unavailable_seconds_terminated=impact.unavailable(histories, faults, Deed.TERMINATE),
        unavailable_seconds_flooded=impact.unavailable(histories, faults, Deed.FLOOD)[
            Kind.STRANGER
        ],
        parts_not_back=sum(not fault.back for fault in faults),
        healthy=not storm.trouble,
        acknowledged_alarms=sum(item.rows for item in done if item.table is Table.ALARMS),
        duplicates_recognised=sum(
            each.duplicate for history in histories for each in history.tries
        ),
        sessions=operations[Operation.LOGIN].done,
        processes=len(lives),
        processes_with_a_user=sum(bool(life.users) for life in lives.values()),
        longest_login_seconds=max((wait.seconds for wait in logins), default=0.0),
        errors_logged=logs.errors(lines),
        operations=operations,
        looks=storm.looks,
        databases_seen_open=storm.opens,
        interrupted=storm.interrupted,
        seconds=storm.seconds,
        users=options.users,
        pool=options.pool,
        wrappers=len(names),
        seed=options.seed,
        machine=machine.facts(),
        versions=machine.versions(),
        findings=findings,
        evidence=str(place.root),
    )


def _evidence(access: Access, place: Place, histories: list[History]) -> UserEvidence:
    mine = tuple(each for each in histories if each.opened.uid == access.uid)
    file = HostPathVolumes(place.layout.volumes).data(access.uid) / database.FILE_NAME
    return UserEvidence(access.uid, mine[0].opened.user, mine, _contents(file, access), str(file))


def _contents(file: Path, access: Access) -> Contents | None:
    try:
        return stored.read(file, access.key())
    except PlatformError:
        return None
