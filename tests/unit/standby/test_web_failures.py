"""Errors of a part's own: who asked learns that it failed, and the log does not fill up with it."""

import aiohttp
import pytest
from aiohttp import web

from standby.errors import PlatformError
from standby.logs import Level
from standby.web import MOST_FAILURES, MOST_REFUSALS, Endpoint, Listener, make_app, serving


class NeedsOperatorError(PlatformError):
    code = "needs_operator"
    level = Level.ERROR


async def _answers(error: Exception, times: int) -> list[str]:
    """What was said to each of so many requests that meet the error."""

    async def failing(_: web.Request) -> web.StreamResponse:
        raise error

    app = make_app([Endpoint("GET", "/", failing, "a test")], body_limit=1024)
    async with (
        serving(app, [Listener()]) as bound,
        aiohttp.ClientSession() as session,
    ):
        said = []
        for _ in range(times):
            async with session.get(f"http://127.0.0.1:{bound[0][1]}/") as answer:
                said.append((await answer.json())["error"]["message"])
        return said


async def test_of_failures_of_one_kind_few_are_logged_and_the_answer_says_which(
    caplog: pytest.LogCaptureFixture,
) -> None:
    said = await _answers(RuntimeError("a bug"), 3 * MOST_FAILURES)
    failed = [each for each in caplog.records if each.message == "request_failed"]
    assert len(failed) == MOST_FAILURES
    ids = [each.__dict__["fields"]["error_id"] for each in failed]
    for text, error_id in zip(said, ids, strict=False):
        assert text == f"this failed on our side; the log has it under {error_id}"
    assert set(said[MOST_FAILURES:]) == {
        "this failed on our side; the log has others of this minute (RuntimeError)"
    }


async def test_of_refusals_that_an_operator_has_to_look_into_few_are_logged_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    await _answers(NeedsOperatorError("look"), 2 * MOST_REFUSALS)
    refused = [each for each in caplog.records if each.message == "request_refused"]
    assert {each.levelname for each in refused} == {"ERROR"}
    assert len(refused) == MOST_REFUSALS
