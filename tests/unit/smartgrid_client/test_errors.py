"""Which refusals may pass, and which requests may be sent again after which errors."""

import datetime as dt
import socket
import ssl
from functools import partial
from typing import Final

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from smartgrid_client import errors
from smartgrid_client.connection import read_answer
from smartgrid_client.errors import refusal
from smartgrid_client.faults import translate
from smartgrid_client.messages import Stored
from smartgrid_client.requests import Operation, login
from smartgrid_client.retry import Policy, may_repeat
from standby.messages import ErrorDetail
from standby.secret import Secret

NOW: Final = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC).timestamp()
REFUSALS = [
    (400, "malformed", errors.RefusedError),
    (401, "wrong_key", errors.RefusedError),
    (401, "unknown_token", errors.SessionOverError),
    (401, "expired_token", errors.SessionOverError),
    (401, "stale_token", errors.SessionOverError),
    (403, "wrong_role", errors.NotAllowedError),
    (404, "unknown_user", errors.RefusedError),
    (408, "body_too_slow", errors.NotNowError),
    (409, "server_taken", errors.NotNowError),
    (409, "claimed_elsewhere", errors.NotNowError),
    (409, "session_over", errors.SessionOverError),
    (409, "database_newer", errors.RefusedError),
    (409, "older_data", errors.RefusedError),
    (409, "volume_damaged", errors.RefusedError),
    (409, "volume_over_limit", errors.RefusedError),
    (413, "batch_too_large", errors.TooLargeError),
    (500, "internal", errors.ServerFailedError),
    (500, "database_damaged", errors.RefusedError),
    (503, "volume_unavailable", errors.ServerFailedError),
    (507, "storage_full", errors.ServerFailedError),
]


def refused(status: int, code: str) -> errors.RefusedError:
    return refusal(status, ErrorDetail(code=code, message="no", id="1"))


@pytest.mark.parametrize(("status", "code", "kind"), REFUSALS)
def test_a_refusal_is_known_by_status_and_code(
    status: int, code: str, kind: type[errors.RefusedError]
) -> None:
    error = refused(status, code)
    assert type(error) is kind
    assert error.reason == code


@pytest.mark.parametrize("operation", [each for each in Operation if each is not Operation.WRITE])
def test_everything_but_write_is_repeated_after_a_lost_answer(operation: Operation) -> None:
    assert may_repeat(operation, errors.UnansweredError("lost"))


def test_write_is_repeated_only_when_it_surely_was_not_done() -> None:
    assert may_repeat(Operation.WRITE, errors.BusyError("busy"))
    assert may_repeat(Operation.WRITE, errors.UnreachableError("away"))
    assert may_repeat(Operation.WRITE, refused(401, "expired_token"))
    assert may_repeat(Operation.WRITE, refused(409, "server_taken"))
    assert not may_repeat(Operation.WRITE, errors.UnansweredError("lost"))
    assert not may_repeat(Operation.WRITE, refused(503, "database_slow"))


def test_logout_is_not_repeated_once_the_session_is_over() -> None:
    assert not may_repeat(Operation.LOGOUT, refused(401, "unknown_token"))
    assert may_repeat(Operation.LOGOUT, errors.BusyError("busy"))


def test_an_expired_session_is_opened_again_without_waiting_once() -> None:
    error = refused(401, "expired_token")
    policy = Policy(first=1, ceiling=2, deadline=0.5)
    assert policy.wait(Operation.WRITE, error, attempt=1, elapsed=100, luck=1) == 0
    assert policy.wait(Operation.WRITE, error, attempt=2, elapsed=0, luck=1) is None


def test_answers_that_are_not_of_this_api_are_told() -> None:
    assert isinstance(read_answer(Stored, 200, b'{"stored": -1}'), errors.UnexpectedAnswerError)
    assert isinstance(read_answer(Stored, 200, b"\xff"), errors.UnexpectedAnswerError)
    assert isinstance(read_answer(Stored, 302, b""), errors.UnexpectedAnswerError)
    assert isinstance(read_answer(Stored, 502, b"<html>"), errors.UnexpectedAnswerError)
    assert read_answer(Stored, 200, b'{"stored": 3, "new_field": 1}') == Stored(stored=3)


def test_errors_without_tls_are_sorted_by_how_far_the_request_came() -> None:
    before, after = (
        partial(translate, now=NOW, connected=False),
        partial(translate, now=NOW, connected=True),
    )
    lost = aiohttp.ServerDisconnectedError()
    assert isinstance(after(lost), errors.UnansweredError)
    assert isinstance(before(TimeoutError()), errors.UnreachableError)
    assert isinstance(before(ConnectionResetError()), errors.BusyError)
    assert isinstance(before(OSError("no route")), errors.UnreachableError)
    eof = ssl.SSLEOFError(8, "EOF occurred")
    assert isinstance(before(eof), errors.BusyError)
    assert isinstance(after(eof), errors.UnansweredError)


@pytest.mark.parametrize(
    ("number", "met", "kind"),
    [
        (socket.EAI_NONAME, False, errors.UnknownHostError),
        (socket.EAI_NODATA, False, errors.UnknownHostError),
        (socket.EAI_NONAME, True, errors.UnreachableError),
        (socket.EAI_AGAIN, False, errors.UnreachableError),
    ],
)
def test_a_host_that_does_not_exist_is_not_asked_for_again(
    number: int, met: bool, kind: type[errors.ClientError]
) -> None:
    """One that was there before is: a resolver that has lost it for a moment must not end a meter."""
    cause = socket.gaierror(number, "Name or service not known")
    key = ConnectionKey("nohost.invalid", 9, True, True, None, None, None)  # aiohttp's form
    error = translate(
        aiohttp.ClientConnectorDNSError(key, cause), now=NOW, connected=False, met=met
    )
    assert type(error) is kind
    assert error.retry == (kind is not errors.UnknownHostError)
    assert "Name or service not known" in str(error)
    assert "--server" in str(error)


@pytest.mark.parametrize(
    ("verify_code", "kind", "wanted"),
    [
        (9, errors.ServerNotValidNowError, "set the clock"),
        (10, errors.ServerNotValidNowError, "clock is right, which says 2026-11-29 12:00 UTC"),
        (62, errors.ServerNotTrustedError, "--sni"),
        (20, errors.ServerNotTrustedError, "not from an authority in the --ca file"),
        (19, errors.ServerNotTrustedError, "not from an authority in the --ca file"),
    ],
)
def test_a_wrong_clock_is_told_from_a_wrong_authority_and_from_a_wrong_name(
    verify_code: int, kind: type[errors.ClientError], wanted: str
) -> None:
    refused = ssl.SSLCertVerificationError(1, "certificate verify failed")
    refused.reason, refused.verify_code, refused.verify_message = "X", verify_code, "why"
    error = translate(refused, now=NOW, connected=False)
    assert type(error) is kind
    assert wanted in str(error)


@pytest.mark.parametrize("kind", errors.ENDING)
def test_no_error_that_ends_a_run_is_one_that_may_pass(kind: type[errors.ClientError]) -> None:
    assert not kind.retry


@pytest.mark.parametrize(
    ("reason", "kind", "code", "words"),
    [
        ("TLSV1_ALERT_INTERNAL_ERROR", errors.BusyError, "platform_busy", "larger pool"),
        ("TLSV1_CERTIFICATE_UNOBTAINABLE", errors.AwayError, "platform_away", "Routing Manager"),
        ("TLSV1_UNRECOGNIZED_NAME", errors.CertificateRefusedError, "certificate_refused", "--sni"),
        (
            "TLSV1_ALERT_UNKNOWN_CA",
            errors.CertificateRefusedError,
            "certificate_refused",
            "of this platform",
        ),
        (
            "SSLV3_ALERT_CERTIFICATE_EXPIRED",
            errors.CertificateRefusedError,
            "certificate_refused",
            "clock",
        ),
        (
            "SSLV3_ALERT_BAD_CERTIFICATE",
            errors.CertificateRefusedError,
            "certificate_refused",
            "--cert",
        ),
    ],
)
def test_each_alert_of_the_other_side_has_a_code_and_says_what_to_do(
    reason: str, kind: type[errors.ClientError], code: str, words: str
) -> None:
    alert = ssl.SSLError(1, "an alert")
    alert.reason = reason
    error = translate(alert, now=NOW, connected=False)
    assert type(error) is kind
    assert (error.reason, words in str(error)) == (code, True)


def test_a_login_request_does_not_show_its_key() -> None:
    request = login(Secret(bytes.fromhex("5e" * 32)))
    assert request.body is not None
    assert request.body.startswith(b'{"key":"' + b"5e" * 32 + b'","login_id":"')
    assert "5e5e" not in repr(request)
