"""An entry of a report that cannot be used costs the process that it names; the others of its wrapper are served."""

import msgspec
import pytest
from msgspec.structs import replace

from standby.identity import Role
from standby.messages import Report
from standby.states import State
from tests.integration.routing_manager.conftest import Running
from tests.unit.routing_manager.fakes import FakeWrapper

LONG = "x" * 300
BAD = {
    "a long text": ('"state":"READY"', f'"state":"READY","hardening":{{"landlock":"{LONG}"}}'),
    "a name of another alphabet": (
        '"state":"READY"',
        '"state":"READY","hardening":{"a":"[/nope]"}',
    ),
    "an escape sequence": ('"state":"READY"', '"state":"READY","attestation":"\\u001b[31m"'),
    "no state": ('"state":"READY"', '"state":"ASLEEP"'),
    "a state that only the Routing Manager knows": ('"READY"', '"RESERVED"'),
    "no user": ('"READY"', '"ACTIVE"'),
    "a generation of 27 digits": ('"state":"READY"', f'"state":"READY","generation":{10**26}'),
    "another port than there are": ('"port":', '"port":70000,"was":'),
    "another slot than there are": ('"slot":0', '"slot":-1'),
    "another address than there are": ('"127.0.0.1"', '"localhost"'),
    "no entry": ('{"slot":0', '"text",{"slot":-1'),
}


def _with_one_bad(report: Report, old: str, new: str) -> bytes:
    """The report, whose entry of slot 0 is spoilt."""
    spoilt, rest = msgspec.json.encode(report.instances[0]).decode(), report.instances[1:]
    assert old in spoilt
    entries = [msgspec.Raw(spoilt.replace(old, new).encode()), *rest]
    return msgspec.json.encode(
        msgspec.to_builtins(replace(report, instances=[])) | {"instances": entries}
    )


async def _deliver(manager: Running, wrapper: FakeWrapper, body: bytes) -> str:
    url = f"{manager.control_url}/v1/wrappers/{wrapper.wrapper_id}/report"
    context = manager.context(Role.WRAPPER, wrapper.wrapper_id)
    async with manager.session.post(url, data=body, ssl=context) as response:
        answer = await response.json()
        assert response.status == 200, answer
        return str(answer["outcome"])


async def _slots(manager: Running) -> dict[int, State]:
    return {each.slot: each.state for each in (await manager.state()).instances}


async def _disbelieved(manager: Running) -> str:
    lines = (await manager.metrics()).splitlines()
    name = "standby_routing_manager_entries_disbelieved_total "
    return next(line for line in lines if line.startswith(name)).split()[-1]


@pytest.mark.parametrize(("old", "new"), BAD.values(), ids=BAD.keys())
async def test_the_others_of_the_wrapper_are_served(manager: Running, old: str, new: str) -> None:
    wrapper = FakeWrapper("wrapper-1")
    for slot in range(3):
        wrapper.start(slot)
    assert await _deliver(manager, wrapper, _with_one_bad(wrapper.full(), old, new)) == "accepted"
    assert await _slots(manager) == {1: State.READY, 2: State.READY}
    assert await _disbelieved(manager) != "0.0"
    assert (await manager.get("/v1/route/alice"))[0] == 200


async def test_what_was_known_of_the_process_stays_while_it_is_named(manager: Running) -> None:
    wrapper = FakeWrapper("wrapper-1")
    for slot in range(2):
        wrapper.start(slot)
    wrapper.login(0, "alice", generation=1)
    await manager.report(wrapper, wrapper.full())
    old, new = '"state":"ACTIVE"', f'"state":"ACTIVE","hardening":{{"landlock":"{LONG}"}}'
    await _deliver(manager, wrapper, _with_one_bad(wrapper.full(), old, new))
    assert await _slots(manager) == {0: State.ACTIVE, 1: State.READY}
    assert (await manager.get("/v1/route/alice"))[1]["state"] == "ACTIVE"


async def test_an_unclear_successor_in_its_slot_ends_what_was_known(manager: Running) -> None:
    wrapper = FakeWrapper("wrapper-1")
    for slot in range(2):
        wrapper.start(slot)
    await manager.report(wrapper, wrapper.full())
    wrapper.start(0)
    await _deliver(manager, wrapper, _with_one_bad(wrapper.full(), *BAD["a long text"]))
    assert await _slots(manager) == {1: State.READY}


async def test_it_is_said_once_and_not_with_every_report(
    manager: Running, caplog: pytest.LogCaptureFixture
) -> None:
    wrapper = FakeWrapper("wrapper-1")
    for slot in range(2):
        wrapper.start(slot)
    for _ in range(3):
        await _deliver(manager, wrapper, _with_one_bad(wrapper.full(), *BAD["a long text"]))
    said = [each for each in caplog.records if each.message == "report_entries_not_used"]
    assert len(said) == 1
    assert said[0].levelname == "ERROR"
    assert await _disbelieved(manager) == "3.0"
