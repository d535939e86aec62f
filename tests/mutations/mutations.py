"""Mechanisms that keep the platform's promises, each removed in one place, and the test that must notice.

One change of one text each, so that the list reads as what would be lost. Where the model of the whole platform
(`tests/property/platform`) notices, it is the test; the others are noticed closer by, because the platform as a whole
makes up for them, or because only more users than the model has would show them. All of these tests do the same each
time, so what is noticed once is noticed always.

Left out: `synchronous=OFF`, which only a power loss would show.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Mutation:
    name: str
    promise: str
    """What is no longer kept."""
    file: str
    old: str
    new: str
    test: str


PLATFORM: Final = "tests/property/platform"
ROUTING: Final = "tests/unit/routing_manager"
VOLUMES: Final = "tests/unit/app_wrapper/test_hostpath.py"

ONE_USER = "a process never serves two users"
OWN_LOGIN = "a user's data is claimed only when this user logs in"
ONE_WRITER = "a user never has two live writers"
ONCE = "what was acknowledged is there, once"
NO_USER = "a READY process holds no user"
OLD = "what is old changes nothing"
WAITING = "who waits is answered within the deadline"
NOT_STUCK = "nobody is stuck"
CALM = "servers that do not start do no harm"

OF_ROUTING: Final = (
    Mutation(
        "late reports are believed",
        OLD,
        "routing_manager/reports.py",
        "return ReportOutcome.STALE",
        "return ReportOutcome.ACCEPTED",
        PLATFORM,
    ),
    Mutation(
        "a process may go back to an earlier state",
        OLD,
        "routing_manager/reports.py",
        "    if (known.state, told.state) not in _REACHABLE:",
        "    if known is None:",
        ROUTING,
    ),
    Mutation(
        "a promise never ends",
        NOT_STUCK,
        "routing_manager/promises.py",
        "return self.first().deadline if self._by_user else inf",
        "return inf",
        ROUTING,
    ),
    Mutation(
        "a user with a session is sent to another server",
        NOT_STUCK,
        "routing_manager/assignments.py",
        "if session is not None:\n            counts",
        "if session is None and counts is None:\n            counts",
        ROUTING,
    ),
    Mutation(
        "a user is promised a process with each question",
        NOT_STUCK,
        "routing_manager/assignments.py",
        "        if promise is not None:\n            counts",
        "        if promise is None and counts is None:\n            counts",
        ROUTING,
    ),
    Mutation(
        "the waiting room is unbounded",
        WAITING,
        "routing_manager/waiting.py",
        "if len(self._queue) >= self.places:",
        "if len(self._queue) < 0:",
        ROUTING,
    ),
    Mutation(
        "the waiting room never ends",
        WAITING,
        "routing_manager/waiting.py",
        "return self.first().deadline if self._queue else inf",
        "return inf",
        PLATFORM,
    ),
    Mutation(
        "a new Routing Manager does not wait for the wrappers' reports",
        NOT_STUCK,
        "routing_manager/core.py",
        "self._settled_at = now + settings.settle",
        "self._settled_at = now",
        ROUTING,
    ),
    Mutation(
        "a lost report is not made up for",
        NOT_STUCK,
        "app_wrapper/outbox.py",
        '"""The last report was not answered."""\n        self.heartbeat()',
        '"""The last report was not answered."""',
        "tests/unit/app_wrapper/test_outbox.py",
    ),
    Mutation(
        "a slot that failed to start tries again at once",
        CALM,
        "app_wrapper/pool.py",
        "pause = backoff.most if seat.lasting else backoff.delay(seat.failures)",
        "pause = 0.0",
        "tests/unit/app_wrapper/test_pool.py",
    ),
)

OF_DATA: Final = (
    Mutation(
        "a claim needs no proof",
        OWN_LOGIN,
        "app_wrapper/rules.py",
        "elif channel and not (process.proved and process.bound == uid):",
        "elif channel and process.attestation is None:",
        PLATFORM,
    ),
    Mutation(
        "a proof does not name the process",
        OWN_LOGIN,
        "attestation/login_proof.py",
        "lines = (DOMAIN, uid, boot_id, digest, nonce.hex())",
        "lines = (DOMAIN, uid, digest, nonce.hex())",
        "tests/unit/app_wrapper/test_login_proofs.py",
    ),
    Mutation(
        "a server whose user does not log in waits for others",
        ONE_USER,
        "app_wrapper/lives.py",
        "READY:  # one that starts has a deadline\n"
        "            self.deadlines.set(process.boot_id, now + self.limits.login)",
        "READY:\n            pass",
        "tests/unit/app_wrapper/test_proved_pool.py",
    ),
    Mutation(
        "a server takes a second user",
        ONE_USER,
        "smartgrid_server/session.py",
        "return self.uid is None or self.uid == uid",
        "return True",
        PLATFORM,
    ),
    Mutation(
        "a server is free again after LOGOUT",
        NO_USER,
        "app_wrapper/lives.py",
        'self._fail(seat, process, f"said LOGOUT {reason}", now)\n'
        "                self._ask_to_stop(seat, process, reason, now)",
        "self._up(seat, replace(process, state=State.READY))",
        PLATFORM,
    ),
    Mutation(
        "tokens outlive their session",
        OLD,
        "smartgrid_server/session.py",
        "self._members[digest] = Member(member.role, _NEVER)",
        "pass",
        PLATFORM,
    ),
    Mutation(
        "a claim does not lock",
        ONE_WRITER,
        "app_wrapper/volumes/record.py",
        "fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)",
        PLATFORM,
    ),
    Mutation(
        "a claim has the generation of the one before",
        OLD,
        "app_wrapper/volumes/hostpath.py",
        "generation = record.following(last)",
        "generation = Generation(max(1, last))",
        PLATFORM,
    ),
    Mutation(
        "a generation is not kept",
        OLD,
        "app_wrapper/volumes/hostpath.py",
        "record.write_generation(directory, generation)",
        "pass",
        PLATFORM,
    ),
    Mutation(
        "a release does not look at the generation",
        OLD,
        "app_wrapper/volumes/hostpath.py",
        "if held is None or held.generation != generation:",
        "if held is None:",
        PLATFORM,
    ),
    Mutation(
        "a dead wrapper's claim is taken over while its server lives",
        ONE_WRITER,
        "app_wrapper/volumes/hostpath.py",
        "if known and not self._end_orphan(",
        "if not known and not self._end_orphan(",
        PLATFORM,
    ),
    Mutation(
        "a returning wrapper leaves its claims as they are",
        NOT_STUCK,
        "app_wrapper/volumes/hostpath.py",
        "return [info.uid for info in mine if self._recover_one(info.uid)]",
        "return [info.uid for info in mine if not info]",
        VOLUMES,
    ),
    Mutation(
        "a reading that is sent again is taken for another one",
        ONCE,
        "smartgrid_server/storing.py",
        "if new is None or old == new:",
        "if new is None:",
        PLATFORM,
    ),
    Mutation(
        "a write is not one transaction",
        ONCE,
        "smartgrid_server/database.py",
        '            self._connection.execute("BEGIN IMMEDIATE")\n'
        "            try:\n"
        "                yield\n"
        '                self._connection.execute("COMMIT")\n',
        "            try:\n                yield\n",
        PLATFORM,
    ),
)
