"""Every timeout of the platform, in seconds, with its reason; no wait goes without one.

Assume that connections are fragile and clocks are wrong: each value is a duration measured by one process on its own
monotonic clock, and no two machines' clocks are ever compared. `CHAIN` states how the values depend on each other and
`tests/unit/test_deadlines.py` runs it, so a change that breaks a dependency fails.

Values that an operator may change are the defaults of settings (see `docs/reference/settings.md`).
"""

from typing import Final

HEARTBEAT: Final = 1.0
"""Between two full reports of a wrapper. A restarted Routing Manager knows everything after one of these."""

REPORT_TIMEOUT: Final = 2.0
"""For one report to be answered; the next one repairs a lost one, so there is no reason to wait longer."""

WRAPPER_LOST: Final = 5.0
"""Silence after which the Routing Manager forgets a wrapper's instances. Long enough for two lost reports."""

WRAPPER_FORGOTTEN: Final = 600.0
"""A lost wrapper is shown to the operator, and late reports of its earlier life are refused, this long."""

SETTLE: Final = 2.5
"""After its start the Routing Manager makes unknown users wait this long, so that every wrapper has reported and a
user with a session is not sent to a second server."""

RESERVATION: Final = 10.0
"""From the routing answer to LOGIN: two TCP round trips, a TLS handshake and a request, also on a bad mobile link."""

EXCLUSIVE: Final = 1.2
"""A reservation keeps others away this long, then users who wait may be sent to its server too. Enough for two TCP
round trips, a TLS handshake and a request on most links; a slower user who loses the server connects again. Beside
a flood of made-up names a user waits this long for a server, and shall log in within 2 s."""

LOGIN_DEADLINE: Final = 8.0
"""A server closes a connection that has not logged in by then, so that a promise cannot be used after it ran out. It
ends if the user who came first has not logged in either; with curl they need two connections, and sign in between."""

BOUND_LOGIN: Final = 12.0
"""From the moment at which a server begins to read a user's requests to the user's LOGIN; then its wrapper ends it. The
server itself ends earlier (`LOGIN_DEADLINE`) unless it was taken over."""

LOGIN_RETRY: Final = 15.0
"""After a wrong key the server keeps the user's volume this long for another try."""

WAITING_ROOM: Final = 15.0
"""A user waits this long for a server to become free; a person's patience, and many recycle times."""

ROUTE_QUERY: Final = 17.0
"""The load balancer waits this long for a routing answer, which may include the waiting room."""

ROUTE_CONNECT: Final = 1.0
"""The load balancer's connection to the Routing Manager; both are in one data centre. Decides how fast it fails."""

ROUTE_AGAIN: Final = 0.05
"""The load balancer waits this long before it asks once more for a user whose server has ended just now; a report of
that takes milliseconds."""

ROUTE_WAIT: Final = 19.0
"""HAProxy keeps a connection this long without a destination, so that the hook always ends first."""

ROUTE_KEEP: Final = 30.0
"""The load balancer reuses a connection to the Routing Manager that was idle for at most this long; HTTP servers close
idle ones after a minute or more, and asking over a closed one costs a second try."""

HTTP_IDLE: Final = 40.0
"""A connection to a part's HTTP service that has brought no complete request header for this long is closed, from the
moment it was accepted. Longer than the load balancer keeps one, so that it closes first."""

HTTP_FIRST: Final = 5.0
"""From the moment it was accepted, a connection to a part's HTTP service has this long for its TLS handshake and its
first complete request header. Callers ask at once, and all are in one data centre."""

ACCEPT_AGAIN: Final = 0.1
"""A listener that could not accept a connection, for want of descriptors for instance, tries again after this."""

CLIENT_HELLO: Final = 5.0
"""For a complete ClientHello to arrive; ends connections that send half of one."""

SERVER_CONNECT: Final = 3.0
"""HAProxy's connection to a server process, which is listening since before it was announced."""

QUIET_PROBE: Final = 30.0
"""Of silence before HAProxy probes a connection (TCP keep-alive), so that address translators on the way keep a quiet
session's connection and the connection of a vanished client ends."""

CLIENT_CONNECT: Final = 25.0
"""A client's TCP connection and TLS handshake, which include its wait for a server."""

CLIENT_REQUEST: Final = 30.0
"""A client waits this long for an answer; longer than a slow volume needs at LOGIN."""

CLIENT_RETRY: Final = 60.0
"""A client repeats a request this long: a lost wrapper is noticed, its volumes recovered, a waiting room passed."""

CLIENT_BACKOFF_FIRST: Final = 0.4
"""The longest wait before a client's second try; a recycled server is ready sooner than that."""

CLIENT_BACKOFF: Final = 5.0
"""The longest wait between two tries of a client, after which the platform is noticed soon enough when it is back."""

CLIENT_STOP: Final = 2.0
"""After Ctrl-C the request on its way has this long to be answered; a person waits for it."""

CLIENT_LOGOUT: Final = 6.0
"""A client's LOGOUT, repeated if need be; what it does not reach is ended by the session's idleness."""

VOLUME_CLAIM: Final = 10.0
"""A volume provider has this long to claim or give back a volume; Ceph RBD maps take seconds."""

COPIER_STOP: Final = 2.0
"""A wrapper that ends waits this long for the thread that copies volumes; a part of a copy takes milliseconds, and a
copy that is cut off is made again after the next start."""

COPY_UNDER_WAY: Final = 60.0
"""A restore waits this long for a copy of the same volume that is being made; a large one takes some ten seconds."""

VOLUME_HANDOVER: Final = 1.0
"""A claim waits this long for a holder that is about to leave, so that logging in right after LOGOUT is not refused."""

ORPHAN_END: Final = 5.0
"""A killed server whose wrapper is dead has this long to be gone before its user's volume is claimed again."""

VOLUME_ANSWER: Final = 12.0
"""The server waits this long for VOLUME or DENIED after it printed LOGIN."""

SERVER_START: Final = 30.0
"""From launch to READY. An enclave in a new container took up to 7.5 s in the dissertation (section 5.1.2)."""

SERVER_STOP: Final = 4.0
"""After its stdin was closed a server has this long to commit, close and exit, then it is killed."""

OUTPUT_END: Final = 1.0
"""The last lines of a server that has exited arrive within this; its pipes may still be open in a stray process."""

RESTART_FIRST: Final = 0.2
"""Before a slot whose server failed to start tries again; doubled with each further failure."""

RESTART_MOST: Final = 10.0
"""The longest pause between two tries of one slot; a repaired application is served again within this."""

SERVER_CLOSE: Final = 2.0
"""A server whose session has ended has this long to finish its writes and close the database."""

SERVER_ANSWERS: Final = 1.0
"""Then answers under way have this long to reach their clients, before the server exits; all of them together, however
often the HTTP library waits for one."""

SESSION_LENGTH: Final = 600.0
"""A LOGIN is good for this long (dissertation, section 5.2.1)."""

SESSION_MAX: Final = 3600.0
"""A user's session ends after this, however often their clients have logged in meanwhile; they log in again. So no
user has a server for ever, and each starts from a fresh process at least once an hour."""

SESSION_OVERRUN: Final = 90.0
"""A server that serves this much longer than a session may last is ended by its wrapper: claim and wrong keys come
before the session, and closing comes after it."""

VOLUME_OPEN: Final = 60.0
"""A server has this long to open the volume that it was given. A user may mistype their key meanwhile."""

USAGE_WATCH: Final = 2.0
"""Between two looks at how much a server has put into a directory of its own; a disk takes some gigabytes meanwhile."""

SESSION_IDLE: Final = 180.0
"""A session without requests ends. Requests 60 s apart are normal (dissertation, section 5.2.1)."""

ATTEST_ANSWER: Final = 5.0
"""A server's wrapper has this long for one answer over the channel between them; it may judge evidence and write to its
audit log first, for a whole pool that starts at once."""

ATTEST_EVIDENCE: Final = 8.0
"""A platform has this long for one piece of evidence. A machine's quoting service is asked by all enclaves in turn."""

ATTEST_RETRY: Final = 30.0
"""Between two tries to renew a server's certificate; a wrapper that was wrong for a moment is asked many times before
the certificate ends."""

ATTEST_CLOCK: Final = 60.0
"""A server looks this often whether its certificate must be renewed; a machine that slept has lost time that no timer
counts."""

PROBE_INTERVAL: Final = 10.0
"""Between two questions to a server whether it still answers. A hundred of them cost a core 1 % of its time."""

PROBE_ANSWER: Final = 5.0
"""A server has this long to answer; a busy machine may need seconds. Two missed answers in a row end a server."""

UNCLAIMED_START: Final = 30.0
"""A server started on demand that nobody logged in to ends by itself."""

DRAIN: Final = 20.0
"""A draining wrapper lets sessions go on this long, then ends them as LOGOUT does."""

ABSENT: Final = 5.0
"""A draining wrapper ends a session that no client has been connected to for this long."""

WRAPPER_STOP: Final = 28.0
"""From SIGTERM to the wrapper's exit; a container is killed after 30 s."""

CONTAINER_GRACE: Final = 30.0
"""Kubernetes' default `terminationGracePeriodSeconds`; not ours to choose."""

CONTROL_REQUEST: Final = 5.0
"""One call of a control API; it only starts things, it does not wait for them to end."""

ORDER_RETRY: Final = 3.0
"""A start ordered on demand that no report has shown by then is ordered again, with the same ticket."""

TIMER_AGAIN: Final = 0.5
"""After an error, or a call that changed nothing, a core's timer waits this long. Long against what such a call costs,
short against every deadline that others are waiting for."""

EVENTS_INTERVAL: Final = 0.25
"""Least time between two states sent to those who follow them; a person sees no difference."""

EVENTS_KEEPALIVE: Final = 5.0
"""A follower of a quiet platform hears something this often, so that both sides notice a dead connection."""

EVENTS_SILENT: Final = 12.0
"""A status page that has heard nothing for this long says that it is out of date; two signs of life may be late."""

EVENTS_WRITE: Final = 5.0
"""A follower that does not read for this long is dropped."""

PART_START: Final = 30.0
"""A part that is to take another one's place has this long to serve; on a busy machine a start takes seconds."""

PART_CHANGE: Final = 300.0
"""An operator's command waits this long for a change of a running platform. One change is made at a time: a wrapper
drains and starts again, perhaps after another one has."""

APPLICATION_CHECK: Final = 20.0
"""An application's program has this long to say whether its servers' settings can work; ours takes 0.3 s."""

PROGRAM_SETTLES: Final = 60.0
"""A wrapper that starts while the program's files change waits this long; an upgrade of packages takes less."""

PLATFORM_START: Final = 90.0
"""`standby up` waits this long for every part to be ready."""

CHAIN: Final = (
    # name of the shorter, name of the longer, why
    (
        "HEARTBEAT",
        "SETTLE",
        "a full report reaches a restarted Routing Manager before it answers unknown users",
    ),
    ("REPORT_TIMEOUT", "SETTLE", "a slow report still counts"),
    ("SETTLE", "WRAPPER_LOST", "two lost reports in a row do not lose a wrapper"),
    ("WRAPPER_LOST", "WRAPPER_FORGOTTEN", "a lost wrapper can be seen before it is forgotten"),
    ("SETTLE", "WAITING_ROOM", "a user who meets a restarted Routing Manager is still served"),
    (
        "WRAPPER_LOST",
        "WAITING_ROOM",
        "a user of a dead wrapper is served elsewhere without coming back twice",
    ),
    ("LOGIN_DEADLINE", "RESERVATION", "nobody logs in after the promise ran out"),
    ("LOGIN_DEADLINE", "BOUND_LOGIN", "a server that works ends by itself"),
    ("EXCLUSIVE", "LOGIN_DEADLINE", "a slow user may still log in while others may try, too"),
    ("RESERVATION", "WAITING_ROOM", "a promise nobody uses frees its server for one who waits"),
    (
        "WAITING_ROOM",
        "ROUTE_QUERY",
        "the Routing Manager's refusal arrives before the load balancer gives up",
    ),
    ("ROUTE_CONNECT", "ROUTE_QUERY", "failing to connect leaves time to try once more"),
    ("ROUTE_AGAIN", "ROUTE_CONNECT", "asking once more costs less than failing to connect"),
    ("ROUTE_QUERY", "ROUTE_WAIT", "the hook ends before HAProxy ends the hook"),
    ("ROUTE_QUERY", "ROUTE_KEEP", "a connection on which an answer is awaited is not an idle one"),
    (
        "ROUTE_KEEP",
        "HTTP_IDLE",
        "the load balancer never asks over a connection that is being closed",
    ),
    ("HTTP_FIRST", "HTTP_IDLE", "a connection that was never used goes before one that was"),
    ("ROUTE_CONNECT", "HTTP_FIRST", "a slow connection to the Routing Manager is used in time"),
    (
        "ACCEPT_AGAIN",
        "ROUTE_CONNECT",
        "callers hardly notice that a listener was short of descriptors",
    ),
    ("QUIET_PROBE", "SESSION_IDLE", "a session is not lost to an address translator's idle limit"),
    ("CLIENT_HELLO", "ROUTE_WAIT", "a hello is complete before routing begins"),
    ("ROUTE_WAIT", "CLIENT_CONNECT", "a client sees the platform's refusal, not its own timeout"),
    ("VOLUME_CLAIM", "VOLUME_ANSWER", "the wrapper's DENIED arrives before the server gives up"),
    ("VOLUME_HANDOVER", "VOLUME_CLAIM", "waiting for a holder to leave is part of a claim"),
    ("ORPHAN_END", "VOLUME_CLAIM", "ending a dead wrapper's server is part of a claim"),
    ("VOLUME_ANSWER", "CLIENT_REQUEST", "the server's refusal arrives before the client gives up"),
    ("CLIENT_CONNECT", "CLIENT_REQUEST", "connecting is part of a request"),
    ("CLIENT_REQUEST", "CLIENT_RETRY", "a request that got no answer is repeated"),
    ("CLIENT_BACKOFF_FIRST", "CLIENT_BACKOFF", "waits between tries grow"),
    ("CLIENT_BACKOFF", "RESERVATION", "a client that comes again finds the server promised to it"),
    ("SERVER_STOP", "CLIENT_LOGOUT", "LOGOUT waits for a server that needs its time to close"),
    (
        "CLIENT_STOP",
        "CLIENT_LOGOUT",
        "a person who leaves waits for LOGOUT rather than for the rest",
    ),
    ("OUTPUT_END", "SERVER_STOP", "a stray process does not delay the next server"),
    ("RESTART_FIRST", "RESTART_MOST", "pauses between tries grow"),
    ("RESTART_MOST", "WAITING_ROOM", "a repaired pool serves those who wait"),
    ("PROBE_ANSWER", "PROBE_INTERVAL", "a missed answer is missed before the next question"),
    ("SERVER_START", "PLATFORM_START", "one failed start does not fail the platform's start"),
    ("PART_START", "PLATFORM_START", "a part that takes another's place is not the whole platform"),
    ("ATTEST_ANSWER", "ATTEST_EVIDENCE", "evidence takes longer than any other answer"),
    ("ATTEST_EVIDENCE", "ATTEST_RETRY", "a renewal is tried again after the last try has ended"),
    ("ATTEST_RETRY", "ATTEST_CLOCK", "a failed renewal is tried again before the next look"),
    ("SESSION_IDLE", "SESSION_LENGTH", "idleness can end a session before its length does"),
    ("SESSION_LENGTH", "SESSION_MAX", "a second client of a user gets a whole LOGIN's time"),
    ("VOLUME_OPEN", "SESSION_MAX", "a server that opens nothing is ended before one that serves"),
    ("LOGIN_RETRY", "SESSION_IDLE", "a wrong key holds a server for less time than a session"),
    ("DRAIN", "WRAPPER_STOP", "sessions are ended before the wrapper must be gone"),
    ("ABSENT", "DRAIN", "a wrapper leaves sooner when no client is left"),
    ("SERVER_STOP", "DRAIN", "ending a session fits into draining"),
    ("WRAPPER_STOP", "CONTAINER_GRACE", "the wrapper leaves by itself, not by SIGKILL"),
    (
        "CONTROL_REQUEST",
        "WAITING_ROOM",
        "starting a server on demand can be retried while the user waits",
    ),
    ("REPORT_TIMEOUT", "ORDER_RETRY", "a slow report still shows that an order was carried out"),
    ("ORDER_RETRY", "WAITING_ROOM", "a lost order is repeated while the user waits"),
    ("TIMER_AGAIN", "HEARTBEAT", "an error in one entry does not lose a wrapper or a user"),
    ("EVENTS_INTERVAL", "EVENTS_KEEPALIVE", "news comes before a sign of life"),
    ("EVENTS_KEEPALIVE", "EVENTS_SILENT", "a quiet platform does not look like one that is away"),
)
"""(shorter, longer, reason): each named value is strictly less than the other."""

SUMS: Final = (
    (("SERVER_CLOSE", "SERVER_ANSWERS"), "SERVER_STOP", "a slowly closing server is not killed"),
    (
        ("VOLUME_ANSWER", "LOGIN_RETRY", "CLIENT_REQUEST", "SERVER_CLOSE", "SERVER_ANSWERS"),
        "SESSION_OVERRUN",
        "the longest session fits, after a slow claim, wrong keys and a slow opening, with its closing",
    ),
    (
        ("LOGIN_RETRY", "CLIENT_REQUEST"),
        "VOLUME_OPEN",
        "a user who mistyped their key has another try, on a slow disk too",
    ),
    (
        ("PROBE_INTERVAL", "PROBE_ANSWER") * 2,
        "CLIENT_RETRY",
        "the client of a server that hangs is served elsewhere without giving up",
    ),
    (
        ("ATTEST_ANSWER", "ATTEST_EVIDENCE", "ATTEST_ANSWER"),
        "SERVER_START",
        "a server that gets no certificate says why before it is killed as too slow",
    ),
    (
        ("ATTEST_EVIDENCE",) * 3,
        "CLIENT_REQUEST",
        "a client whose challenge is the third in line still gets its evidence",
    ),
    (
        ("WRAPPER_STOP", "PLATFORM_START") * 2,
        "PART_CHANGE",
        "a command learns what became of its change, and of the one before it",
    ),
    (("DRAIN", "SERVER_STOP"), "WRAPPER_STOP", "the last session still ends as LOGOUT does"),
    (
        ("EXCLUSIVE",) * 6 + ("CLIENT_BACKOFF",),
        "WAITING_ROOM",
        "a real user behind a room full of made-up ones is sent to a server in time",
    ),
)
"""(names, longer, reason): the sum of the named values is strictly less than the other."""
