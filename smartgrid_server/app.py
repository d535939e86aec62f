"""The HTTP API as a table, and the application and the OpenAPI document made from it."""

from typing import Any, Final

from aiohttp import web

from attestation.errors import EvidenceUnavailableError
from smartgrid_server import errors, handlers
from smartgrid_server.attesting import AttestReply, AttestRequest, EvidenceBusyError
from smartgrid_server.messages import (
    Alarm,
    AlarmsReply,
    Averages,
    ConflictsReply,
    DeleteReply,
    LoginChallenge,
    LoginReply,
    LoginRequest,
    LogoutReply,
    LongWriteReply,
    LongWriteRequest,
    StoredAlarm,
    WriteReply,
    WriteRequest,
)
from standby.errors import PlatformError, TooLargeError
from standby.identity import USER_ROLES, Role
from standby.web import Endpoint, MalformedError, RoleError, make_app
from standby.web import openapi as document

VERSION: Final = "1"
_CUSTOMER: Final = frozenset({Role.CUSTOMER})
_METER: Final = frozenset({Role.METER})

_ALWAYS: Final[tuple[type[PlatformError], ...]] = (
    RoleError,
    errors.WrongUserError,
    errors.ServerTakenError,
    errors.SessionOverError,
)
_TOKEN: Final = (
    *_ALWAYS,
    errors.TokenRequiredError,
    errors.UnknownTokenError,
    errors.StaleTokenError,
    errors.ExpiredTokenError,
)
_BODY: Final = (MalformedError, TooLargeError, errors.BodyTooSlowError)
_READ: Final = (
    errors.DatabaseDamagedError,
    errors.StorageFailedError,
    errors.DatabaseSlowError,
    errors.NotEnoughMemoryError,
)
_STORE: Final = (*_READ, errors.StorageFullError)
_PROOF: Final = (
    errors.ProofRequiredError,
    errors.ProofRefusedError,
    errors.ProofUnavailableError,
    errors.StaleChallengeError,
)
_OPEN: Final = (
    errors.OlderDataError,
    errors.FreshnessUnavailableError,
    errors.KeyMemoryError,
    errors.WrongKeyError,
    errors.UnknownUserError,
    errors.ClaimedElsewhereError,
    errors.VolumeUnavailableError,
    errors.VolumeDamagedError,
    errors.VolumeOverLimitError,
    errors.DatabaseInUseError,
    errors.DatabaseMissingError,
    errors.DatabaseDamagedError,
    errors.DatabaseNewerError,
    errors.StorageFailedError,
)


def _page(what: str) -> tuple[tuple[str, str], ...]:
    return (
        ("after", f"only {what} with a greater id; absent: from the first"),
        ("limit", f"{what} in one answer; absent: as many as an answer can hold"),
    )


ENDPOINTS: Final = (
    Endpoint(
        "POST",
        "/v1/attest",
        handlers.attest,
        "evidence of what this server is, made for this challenge; logs nobody in",
        response=AttestReply,
        request=AttestRequest,
        errors=(
            RoleError,
            errors.WrongUserError,
            *_BODY,
            EvidenceBusyError,
            EvidenceUnavailableError,
        ),
        roles=USER_ROLES,
    ),
    Endpoint(
        "GET",
        "/v1/login-challenge",
        handlers.login_challenge,
        "what a LOGIN at this server has to prove, for clients who do not ask for evidence",
        response=LoginChallenge,
        errors=_ALWAYS,
        roles=USER_ROLES,
    ),
    Endpoint(
        "POST",
        "/v1/login",
        handlers.login,
        "open the user's database, or join the session that has it open",
        response=LoginReply,
        request=LoginRequest,
        errors=(*_ALWAYS, *_BODY, *_PROOF, *_OPEN),
        roles=USER_ROLES,
    ),
    Endpoint(
        "POST",
        "/v1/logout",
        handlers.logout,
        "leave; the session ends with its last client",
        response=LogoutReply,
        errors=_TOKEN,
        roles=USER_ROLES,
    ),
    Endpoint(
        "POST",
        "/v1/write",
        handlers.write,
        "store alarms, all or none",
        response=WriteReply,
        request=WriteRequest,
        errors=(
            *_TOKEN,
            *_BODY,
            *_STORE,
            errors.UnknownMetricError,
            errors.TooManyAlarmsError,
        ),
        roles=_CUSTOMER,
    ),
    Endpoint(
        "POST",
        "/v1/long-write",
        handlers.long_write,
        "store readings; however often and in whatever batches they are sent, each is stored once",
        response=LongWriteReply,
        request=LongWriteRequest,
        errors=(
            *_TOKEN,
            *_BODY,
            *_STORE,
            errors.BatchTooLargeError,
        ),
        roles=_METER,
    ),
    Endpoint(
        "GET",
        "/v1/query-avg",
        handlers.query_avg,
        "average of one metric over a period, and per bucket of time",
        response=Averages,
        errors=(
            *_TOKEN,
            *_READ,
            MalformedError,
            errors.UnknownMetricError,
            errors.EmptyPeriodError,
            errors.TooManyBucketsError,
        ),
        roles=_CUSTOMER,
        query=(
            ("metric", "power, impedance or tension; always needed"),
            ("start", "Unix seconds; readings before it are left out; absent: from the first"),
            ("end", "Unix seconds; readings from it on are left out; absent: to the last"),
            ("bucket", "length of a bucket in seconds; absent: no buckets"),
            (
                "edges",
                "instead of start, end and bucket: rising Unix seconds with commas; from one to the next is a bucket",
            ),
        ),
    ),
    Endpoint(
        "GET",
        "/v1/alarms",
        handlers.alarms,
        "the stored alarms, in order of id",
        response=AlarmsReply,
        errors=(*_TOKEN, *_READ, MalformedError),
        roles=_CUSTOMER,
        query=_page("alarms"),
    ),
    Endpoint(
        "PUT",
        "/v1/alarms/{id}",
        handlers.change_alarm,
        "give an alarm another metric and threshold",
        response=StoredAlarm,
        request=Alarm,
        errors=(
            *_TOKEN,
            *_BODY,
            *_STORE,
            errors.UnknownMetricError,
            errors.UnknownAlarmError,
        ),
        roles=_CUSTOMER,
    ),
    Endpoint(
        "DELETE",
        "/v1/alarms/{id}",
        handlers.delete_alarm,
        "delete an alarm; one that is gone already is no error",
        response=DeleteReply,
        errors=(*_TOKEN, *_STORE, errors.UnknownAlarmError),
        roles=_CUSTOMER,
    ),
    Endpoint(
        "GET",
        "/v1/conflicts",
        handlers.conflicts,
        "values that were sent for a time for which another one is stored, in order of id",
        response=ConflictsReply,
        errors=(*_TOKEN, *_READ, MalformedError),
        roles=_CUSTOMER,
        query=_page("conflicts"),
    ),
)


def application(*, body_limit: int) -> web.Application:
    """Without its `handlers.CONTEXT`, which must be there before the first request."""
    app = make_app(ENDPOINTS, body_limit=body_limit)
    app.middlewares.append(handlers.one_user)
    return app


def openapi() -> dict[str, Any]:
    """The API as an OpenAPI 3.1 document."""
    return document(
        "Smart-grid server",
        VERSION,
        "One user's meter readings. Mutual TLS 1.3: the server name (SNI) is the user id, and the client certificate "
        "is that user's. Calls other than attest and login need `Authorization: Bearer <token>`.",
        ENDPOINTS,
    )
