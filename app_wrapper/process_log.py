"""What the wrapper's log says of a server process: what happened to whom, at a level that an alert can use.

An end that is nobody's fault is INFO. Any other end is a WARNING while the process had no user, and an ERROR once a
user has lost a session by it. A LOGIN without the user's proof is an ERROR: the server was taken over, or is faulty.
The user to whom it was bound (`bound`) is the first to look at.
"""

from app_wrapper.actions import Change, Report
from app_wrapper.launchers import Exit
from app_wrapper.process import Process
from standby.ids import BootId, Uid
from standby.lines import Denied
from standby.logs import EventLog, Level
from standby.states import USUAL_ENDS, StopReason

log = EventLog(__name__)


def severity(process: Process) -> Level:
    """How much the process's state matters to an operator."""
    if process.reason is None or process.reason in USUAL_ENDS:
        return Level.INFO
    if process.reason is StopReason.UNPROVED:
        return Level.ERROR
    # one that cannot renew its proof ends after its session, which cost its user nothing
    harmless = process.uid is None or process.reason is StopReason.UNATTESTED
    return Level.WARNING if harmless else Level.ERROR


def changed(report: Report) -> None:
    """Log one change."""
    process = report.process
    match report.change:
        case Change.LAUNCHED:
            log.info("server_launched", **_names(process), port=process.port)
        case Change.ATTESTED:
            log.info("server_attested", **_names(process), by=process.attestation)
        case Change.VOLUME:
            log.info("volume_given", **_names(process), generation=process.generation)
        case Change.STATE:
            log.at(
                severity(process),
                "server_changed",
                **_names(process),
                state=process.state,
                before=report.before,
                generation=process.generation,
                reason=process.reason,
                why=report.why or None,
            )


def gone(boot_id: BootId, process: Process | None, how: Exit) -> None:
    """Log that nothing of the process is left."""
    names = _names(process) if process else {"boot_id": boot_id}
    log.info("server_gone", **names, reason=process and process.reason, how=how.text)


def denied(boot_id: BootId, uid: Uid, answer: Denied) -> None:
    """Log that the user cannot be served here now, because their data cannot be had."""
    log.warning("volume_denied", boot_id=boot_id, uid=uid, code=answer.code, text=answer.text)


def _names(process: Process) -> dict[str, object]:
    names = {"slot": process.slot, "boot_id": process.boot_id, "uid": process.uid}
    return names if process.bound in {None, process.uid} else {**names, "bound": process.bound}
