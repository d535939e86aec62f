"""Sessions that survive what happens to servers and connections, and never write twice."""

import asyncio

import pytest

from smartgrid_client import customer, errors, meter, requests
from smartgrid_client.batches import Batch, BatchSize, batches
from smartgrid_client.customer import Workload
from smartgrid_client.generator import generate
from smartgrid_client.messages import Alarm, Metric
from smartgrid_client.readings import Reading
from smartgrid_client.retry import Policy
from smartgrid_client.schedule import Schedule
from tests.integration.smartgrid_client.conftest import Place
from tests.support.smartgrid_stub import Door, Fault
from tests.support.waiting import eventually

BATCH = Batch((Reading(900, 100.0, 2.0, 230.0), Reading(915, 300.0, 4.0, 232.0)))
ALARM = Alarm(Metric.POWER, 4000.0)
PATIENT = Policy(first=60.0, ceiling=60.0, deadline=600.0)


def schedule(frequency: float, duration: float) -> Schedule:
    return Schedule(asyncio.get_running_loop().time(), frequency, duration)


async def test_a_busy_platform_is_asked_again_until_it_has_a_server(place: Place) -> None:
    place.gate.next_time(Door.ALERT, Door.SHUT, Door.RESET)
    async with place.session():
        pass
    busy = ("LOGIN", "platform_busy")
    assert place.codes == [busy, busy, busy, ("LOGIN", "ok"), ("LOGOUT", "ok")]
    assert [each.repeated for each in place.attempts] == [True, True, True, False, False]


async def test_a_login_whose_answer_was_lost_is_repeated(place: Place) -> None:
    place.stub.next_time("login", Fault.CUT_AFTER)
    async with place.session():
        pass
    assert place.codes[:2] == [("LOGIN", "unanswered"), ("LOGIN", "ok")]


async def test_a_server_that_belongs_to_another_user_is_left(place: Place) -> None:
    place.stub.next_time("login", Fault.TAKEN)
    async with place.session():
        assert place.gate.count == 2
    assert place.codes[0] == ("LOGIN", "server_taken")


async def test_a_wrong_key_is_not_tried_again(place: Place) -> None:
    session = place.session()
    session._key.wipe()
    with pytest.raises(errors.RefusedError):
        async with session:
            pass
    assert place.codes == [("LOGIN", "wrong_key")]


@pytest.mark.parametrize("fault", [Fault.CUT_BEFORE, Fault.CUT_AFTER, Fault.UNAVAILABLE])
async def test_a_batch_is_repeated_and_stored_once(place: Place, fault: Fault) -> None:
    place.stub.next_time("long-write", fault)
    async with place.session() as session:
        await session.perform(requests.long_write(BATCH))
    assert place.stub.requests.count("long-write") == 2
    assert len(place.stub.batches) == 1


@pytest.mark.parametrize("fault", [Fault.CUT_BEFORE, Fault.CUT_AFTER])
async def test_a_write_that_may_have_arrived_is_not_repeated(place: Place, fault: Fault) -> None:
    place.stub.next_time("write", fault)
    async with place.session() as session:
        with pytest.raises(errors.UnansweredError):
            await session.perform(requests.write([ALARM]))
    assert place.stub.requests.count("write") == 1
    assert place.attempts[1].failed


async def test_a_query_is_repeated_in_the_open(place: Place) -> None:
    place.stub.next_time("query-avg", Fault.CUT_BEFORE)
    async with place.session() as session:
        await session.perform(requests.query_avg(Metric.POWER))
    assert place.codes[1:3] == [("QUERY_AVG", "unanswered"), ("QUERY_AVG", "ok")]


async def test_a_write_that_surely_was_not_done_is_repeated(place: Place) -> None:
    async with place.session() as session:
        await session._client.disconnect()
        place.gate.next_time(Door.ALERT)
        await session.perform(requests.write([ALARM]))
    assert place.codes[1:3] == [("WRITE", "platform_busy"), ("WRITE", "ok")]
    assert len(place.stub.alarms) == 1


async def test_an_expired_session_is_opened_again(place: Place) -> None:
    place.stub.next_time("write", Fault.EXPIRED)
    async with place.session() as session:
        await session.perform(requests.write([ALARM]))
    assert place.codes == [
        ("LOGIN", "ok"),
        ("WRITE", "expired_token"),
        ("LOGIN", "ok"),
        ("WRITE", "ok"),
        ("LOGOUT", "ok"),
    ]
    assert len(place.stub.alarms) == 1


async def test_a_session_whose_time_is_up_is_opened_again_before_the_request(place: Place) -> None:
    place.stub.expires_in = 0.0
    async with place.session() as session:
        await session.perform(requests.query_avg(Metric.POWER))
    assert place.codes == [("LOGIN", "ok"), ("LOGIN", "ok"), ("QUERY_AVG", "ok"), ("LOGOUT", "ok")]


async def test_a_server_that_forgot_the_session_gets_a_new_login(place: Place) -> None:
    async with place.session() as session:
        place.stub.tokens.clear()
        await session.perform(requests.long_write(BATCH))
    assert ("LONG_WRITE", "unknown_token") in place.codes
    assert place.stub.logins == 2


async def test_stop_ends_the_wait_between_tries(place: Place) -> None:
    place.stub.next_time("query-avg", Fault.UNAVAILABLE)
    async with place.session(PATIENT) as session:
        asking = asyncio.create_task(session.perform(requests.query_avg(Metric.POWER)))
        await eventually(lambda: len(place.codes) > 1, "the first try has failed")
        place.stop.set()
        with pytest.raises(errors.ServerFailedError):
            await asking
    assert place.codes[-1] == ("LOGOUT", "ok")


async def test_an_unanswered_logout_is_given_up(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smartgrid_client.session.CLIENT_LOGOUT", 0.2)
    place.stub.next_time("logout", Fault.SILENCE)
    with pytest.raises(errors.UnansweredError, match="LOGOUT"):
        async with place.session():
            pass
    assert place.attempts[-1].failed


async def test_a_meter_pushes_every_batch_once_through_all_failures(place: Place) -> None:
    readings = list(generate(0, 4 * 3600, "meter-test"))
    place.stub.next_time("long-write", Fault.CUT_AFTER, Fault.EXPIRED, Fault.CUT_BEFORE)
    async with place.session() as session:
        made = batches(readings, BatchSize(seconds=3600))
        await meter.push(session, made, schedule(0, 60), place.stop)
    assert len(place.stub.batches) == 4
    stored = [tuple(row) for rows in place.stub.batches for row in rows]
    assert stored == [tuple(each) for each in readings]


async def test_a_meter_keeps_a_batch_that_could_not_be_sent_for_the_next_tick(place: Place) -> None:
    place.stub.next_time("long-write", Fault.UNAVAILABLE)
    async with place.session(Policy(deadline=0)) as session:
        made = batches(generate(0, 7200, "meter-test"), BatchSize(seconds=3600))
        await meter.push(session, made, schedule(0, 60), place.stop)
    assert [code for _, code in place.codes] == ["ok", "volume_unavailable", "ok", "ok", "ok"]
    assert len(place.stub.batches) == 2


async def test_a_customer_goes_on_after_a_failed_request(place: Place) -> None:
    place.stub.next_time("write", Fault.CUT_AFTER)
    async with place.session() as session:
        await customer.use(session, Workload(write_ratio=1.0), schedule(0.05, 0.12), place.stop)
    codes = [code for operation, code in place.codes if operation == "WRITE"]
    assert codes == ["unanswered", "ok", "ok"]


async def test_lateness_is_told_for_requests_that_had_to_wait(place: Place) -> None:
    now = asyncio.get_running_loop().time()
    async with place.session() as session:
        await session.perform(requests.query_avg(Metric.POWER), intended=now - 5.0)
    assert 5.0 <= place.attempts[1].late < 10.0
