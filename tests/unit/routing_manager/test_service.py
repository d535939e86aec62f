"""The shell around the core: everybody who waits gets one answer, whatever the loop was busy with."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from routing_manager.control import ControlClient
from routing_manager.core import Core
from routing_manager.errors import NoCapacityError
from routing_manager.metrics import Metrics
from routing_manager.reports import Received
from routing_manager.service import MOST_NOT_USED, RoutingService
from routing_manager.settings import Settings
from standby.ids import Epoch
from standby.messages import ReportOutcome
from tests.unit.routing_manager.fakes import FakeWrapper

_WAITING_ROOM = 0.2


@pytest.fixture
async def service() -> AsyncIterator[RoutingService]:
    control = ControlClient(None)
    core = Core(Settings(settle=0.0, waiting_room=_WAITING_ROOM), time.monotonic(), "t")
    made = RoutingService(core, control, Metrics(CollectorRegistry()), lambda: None)
    yield made
    made.stop()
    await control.close()


async def test_who_asks_again_in_the_moment_in_which_the_wait_ends_waits_anew(
    service: RoutingService,
) -> None:
    first = asyncio.create_task(service.route("anna", None))
    await asyncio.sleep(0)
    time.sleep(2 * _WAITING_ROOM)  # noqa: ASYNC251  # the loop is busy while the deadline passes
    others = [asyncio.create_task(service.route(name, None)) for name in ("anna", "carla")]
    async with asyncio.timeout(10):
        outcomes = await asyncio.gather(first, *others, return_exceptions=True)
    assert [type(each) for each in outcomes] == [NoCapacityError] * 3
    assert not service.core.assignments.room


async def test_late_reports_without_end_are_answered_and_few_of_them_are_logged(
    service: RoutingService, caplog: pytest.LogCaptureFixture
) -> None:
    """As those of the earlier of two wrappers with one name."""
    wrapper = FakeWrapper("w1", epoch=5)
    service.report(wrapper.wrapper_id, Received(wrapper.full()))
    late = Received(replace(wrapper.full(), epoch=Epoch(4)))
    caplog.clear()
    answers = [service.report(wrapper.wrapper_id, late).outcome for _ in range(10 * MOST_NOT_USED)]
    assert set(answers) == {ReportOutcome.STALE}
    logged = [each.message for each in caplog.records]
    assert logged == ["report_not_used"] * MOST_NOT_USED
