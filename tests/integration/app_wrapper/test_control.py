"""Orders come over mutual TLS, from those who may give them; everything else is refused and changes nothing."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from app_wrapper.settings import Mode
from app_wrapper.wrapper import Wrapper, running
from standby import tls
from standby.approach import Approach
from standby.identity import Role
from standby.states import State
from tests.support.certificates import Certificates
from tests.support.waiting import eventually
from tests.support.wrapper import (
    BAD,
    TinyClient,
    enroll,
    processes,
    ready,
    settings,
    with_tls,
)

Answer = tuple[int, dict[str, Any]]


class Operator:
    """Gives orders to a wrapper."""

    def __init__(self, session: aiohttp.ClientSession, url: str | None) -> None:
        self._session = session
        self._url = url

    async def order(self, method: str, path: str, message: object = None) -> Answer:
        body = msgspec.json.encode(message) if message is not None else None
        async with self._session.request(method, f"{self._url}{path}", data=body) as response:
            return response.status, msgspec.json.decode(await response.read())


@pytest.fixture
def operator_tls(certificates: Certificates) -> ssl.SSLContext:
    return tls.client_context(certificates.part(Role.OPERATOR, "olga"))


@pytest.fixture
async def session(operator_tls: ssl.SSLContext) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(ssl=operator_tls)
    async with aiohttp.ClientSession(connector=connector) as opened:
        yield opened


@pytest.fixture
def identity(certificates: Certificates) -> dict[str, Any]:
    return with_tls(certificates.part(Role.WRAPPER, "w1"))


def _code(answer: Answer) -> tuple[int, str]:
    return answer[0], answer[1]["error"]["code"]


def _up(wrapper: Wrapper) -> int:
    return len([each for each in processes(wrapper) if each.up])


async def test_over_the_plain_listener_nothing_can_be_changed(
    tmp_path: Path, identity: dict[str, Any], session: aiohttp.ClientSession
) -> None:
    async with running(settings(tmp_path, **identity)) as wrapper:
        plain = Operator(session, wrapper.url)
        for method, path in (("PUT", "/v1/pool"), ("POST", "/v1/stop"), ("POST", "/v1/drain")):
            refused = await plain.order(method, path, {"size": 0})
            assert _code(refused) == (403, "client_certificate_required")
        await ready(wrapper, 2)


async def test_a_wrapper_may_not_give_orders_to_another(
    tmp_path: Path, identity: dict[str, Any], certificates: Certificates
) -> None:
    context = tls.client_context(certificates.part(Role.WRAPPER, "w2"))
    async with (
        running(settings(tmp_path, **identity)) as wrapper,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session,
    ):
        refused = await Operator(session, wrapper.control_url).order("POST", "/v1/stop")
        assert _code(refused) == (403, "wrong_role")


async def test_a_users_certificate_does_not_even_connect(
    tmp_path: Path, identity: dict[str, Any], certificates: Certificates
) -> None:
    files = certificates.user("anna")
    context = tls.client_context(
        msgspec.structs.replace(files, authorities=certificates.directory / "parts-ca.pem")
    )
    async with (
        running(settings(tmp_path, **identity)) as wrapper,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session,
    ):
        with pytest.raises(aiohttp.ClientError):
            await Operator(session, wrapper.control_url).order("POST", "/v1/stop")


async def test_without_tls_files_there_is_no_control_listener(tmp_path: Path) -> None:
    async with running(settings(tmp_path)) as wrapper:
        assert wrapper.control_url is None


async def test_the_pool_is_resized_and_active_servers_are_left_alone(
    tmp_path: Path, identity: dict[str, Any], session: aiohttp.ClientSession
) -> None:
    enroll(tmp_path, "anna")
    async with running(settings(tmp_path, capacity=3, **identity)) as wrapper:
        operator = Operator(session, wrapper.control_url)
        status, state = await operator.order("PUT", "/v1/pool", {"size": 3})
        assert (status, state["pool_size"]) == (200, 3)
        (first, *_) = await ready(wrapper, 3)
        refused = await operator.order("PUT", "/v1/pool", {"size": 4})
        assert _code(refused) == (503, "at_capacity")
        async with TinyClient.to(first.port) as client:
            await client.log_in("anna")
            await operator.order("PUT", "/v1/pool", {"size": 0})
            await eventually(lambda: _up(wrapper) == 1, "the unused servers have ended")
            assert await client.ask("NOTE undisturbed") == "NOTED"
            await client.ask("BYE")
        await wrapper.supervisor.until_empty()
        await operator.order("PUT", "/v1/pool", {"size": 1})
        await ready(wrapper)


@pytest.mark.parametrize("body", [None, {}, {"size": -1}, {"size": "many"}, {"size": 1e9}])
async def test_a_malformed_order_is_refused(
    tmp_path: Path, identity: dict[str, Any], session: aiohttp.ClientSession, body: object
) -> None:
    async with running(settings(tmp_path, pool_size=0, **identity)) as wrapper:
        operator = Operator(session, wrapper.control_url)
        assert _code(await operator.order("PUT", "/v1/pool", body)) == (400, "malformed")


async def test_in_dynamic_mode_the_pool_runs_from_start_to_stop(
    tmp_path: Path, identity: dict[str, Any], session: aiohttp.ClientSession
) -> None:
    enroll(tmp_path, "anna")
    async with running(settings(tmp_path, mode=Mode.DYNAMIC, **identity)) as wrapper:
        operator = Operator(session, wrapper.control_url)
        assert processes(wrapper) == []
        await operator.order("PUT", "/v1/pool", {"size": 1})
        assert processes(wrapper) == []
        await operator.order("POST", "/v1/start")
        (server,) = await ready(wrapper)
        async with TinyClient.to(server.port) as client:
            await client.log_in("anna")
            await operator.order("POST", "/v1/stop")
            assert await client.hear() == ""
        await wrapper.supervisor.until_empty()
        await operator.order("POST", "/v1/start")
        (again,) = await ready(wrapper)
        assert again.boot_id != server.boot_id


async def test_an_order_to_drain_makes_the_wrapper_leave(
    tmp_path: Path, identity: dict[str, Any], session: aiohttp.ClientSession
) -> None:
    async with running(settings(tmp_path, **identity)) as wrapper:
        operator = Operator(session, wrapper.control_url)
        status, state = await operator.order("POST", "/v1/drain")
        assert (status, state["draining"]) == (200, True)
        await wrapper.supervisor.until_empty()
        assert wrapper.leave.is_set()
        assert _code(await operator.order("POST", "/v1/start")) == (503, "draining")


async def test_on_demand_an_order_starts_one_server_once(
    tmp_path: Path, identity: dict[str, Any], session: aiohttp.ClientSession
) -> None:
    enroll(tmp_path, "anna")
    chosen = settings(tmp_path, approach=Approach.ON_DEMAND, capacity=2, **identity)
    async with running(chosen) as wrapper:
        operator = Operator(session, wrapper.control_url)
        assert processes(wrapper) == []
        answers = await asyncio.gather(
            *(operator.order("POST", "/v1/starts", {"ticket": "t1"}) for _ in range(5))
        )
        assert answers == [(200, {"ticket": "t1", "slot": 0})] * 5
        (server,) = await ready(wrapper)
        snapshot = wrapper.supervisor.snapshot()
        assert [each.ticket for each in snapshot.instances.values()] == ["t1"]
        await operator.order("POST", "/v1/starts", {"ticket": "t2"})
        refused = await operator.order("POST", "/v1/starts", {"ticket": "t3"})
        assert _code(refused) == (503, "at_capacity")
        async with TinyClient.to(server.port) as client:
            await client.log_in("anna")
            await client.ask("BYE")
        await eventually(lambda: len(processes(wrapper)) == 1, "it is not replaced")
        again = await operator.order("POST", "/v1/starts", {"ticket": "t1"})
        assert again == (200, {"ticket": "t1", "slot": 0})
        assert len(processes(wrapper)) == 1


async def test_on_demand_a_server_nobody_claims_ends_by_itself(
    tmp_path: Path, identity: dict[str, Any], session: aiohttp.ClientSession
) -> None:
    chosen = settings(tmp_path, approach=Approach.ON_DEMAND, unclaimed_start=0.2, **identity)
    async with running(chosen) as wrapper:
        operator = Operator(session, wrapper.control_url)
        await operator.order("POST", "/v1/starts", {"ticket": "t1"})
        await ready(wrapper)
        await wrapper.supervisor.until_empty()


async def test_trivial_each_user_has_a_server_that_comes_back_on_the_same_port(
    tmp_path: Path, identity: dict[str, Any], session: aiohttp.ClientSession
) -> None:
    enroll(tmp_path, "anna", "bert")
    async with running(settings(tmp_path, approach=Approach.TRIVIAL, **identity)) as wrapper:
        operator = Operator(session, wrapper.control_url)
        assert processes(wrapper) == []
        answers = await asyncio.gather(
            *(operator.order("PUT", f"/v1/users/{uid}", {}) for uid in ("anna", "bert", "anna"))
        )
        assert [status for status, _ in answers] == [200] * 3
        anna, bert, same = (view for _, view in answers)
        assert (anna["state"], anna["user"], anna["generation"]) == ("ACTIVE", "anna", 1)
        assert (anna["boot_id"], anna["port"]) == (same["boot_id"], same["port"])
        assert bert["port"] != anna["port"]
        async with TinyClient.to(anna["port"]) as client:
            assert await client.ask("USER bert") == "REFUSED server_taken"
        async with TinyClient.to(anna["port"]) as client:
            await client.log_in("anna")
            assert await client.ask("NOTE before the crash") == "NOTED"
            assert await client.ask("BYE") == "GOODBYE"
        wrapper.supervisor._sidecars[anna["boot_id"]].kill()
        async with TinyClient.to(anna["port"]) as client:  # waits, is not refused
            assert (await client.log_in("anna"))[1] == 2
            assert await client.notes() == ["before the crash"]


async def test_trivial_a_user_without_a_volume_gets_no_server(
    tmp_path: Path, identity: dict[str, Any], session: aiohttp.ClientSession
) -> None:
    async with running(settings(tmp_path, approach=Approach.TRIVIAL, **identity)) as wrapper:
        operator = Operator(session, wrapper.control_url)
        assert _code(await operator.order("PUT", "/v1/users/zoe")) == (404, "unknown_user")
        assert _code(await operator.order("PUT", "/v1/users/z_o_e")) == (400, "bad_name")
        assert wrapper.supervisor.pool.empty


async def test_trivial_a_server_that_does_not_come_up_is_an_error_that_says_why(
    tmp_path: Path,
    identity: dict[str, Any],
    session: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BAD_SERVER", "crashing_server")
    enroll(tmp_path, "anna")
    chosen = settings(tmp_path, app=BAD, approach=Approach.TRIVIAL, server_start=5.0, **identity)
    async with running(chosen) as wrapper:
        status, body = await Operator(session, wrapper.control_url).order("PUT", "/v1/users/anna")
    assert (status, body["error"]["code"]) == (503, "not_started")
    assert "exit status 3" in body["error"]["message"]


@pytest.mark.parametrize(
    ("approach", "method", "path", "body"),
    [
        (Approach.STANDBY, "POST", "/v1/starts", {"ticket": "t"}),
        (Approach.STANDBY, "PUT", "/v1/users/anna", {}),
        (Approach.ON_DEMAND, "PUT", "/v1/pool", {"size": 1}),
        (Approach.TRIVIAL, "POST", "/v1/starts", {"ticket": "t"}),
    ],
)
async def test_an_order_of_another_approach_is_refused(
    tmp_path: Path,
    identity: dict[str, Any],
    session: aiohttp.ClientSession,
    approach: Approach,
    method: str,
    path: str,
    body: object,
) -> None:
    chosen = settings(tmp_path, approach=approach, pool_size=0, **identity)
    async with running(chosen) as wrapper:
        refused = await Operator(session, wrapper.control_url).order(method, path, body)
    assert _code(refused) == (409, "wrong_approach")


async def test_readiness_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAD_SERVER", "never_ready_server")
    async with (
        running(settings(tmp_path, app=BAD)) as wrapper,
        aiohttp.ClientSession() as session,
        session.get(f"{wrapper.url}/readyz") as response,
    ):
        assert response.status == 503
        assert await response.text() == "2 servers are not up yet\n"


async def test_a_range_of_ports_is_kept_to_and_its_end_is_said(tmp_path: Path) -> None:
    first = 20_000 + (id(tmp_path) // 64) % 20_000
    chosen = settings(tmp_path, first_port=first, last_port=first + 19, pool_size=2)
    async with running(chosen) as wrapper:
        servers = await ready(wrapper, 2)
        assert all(first <= (each.port or 0) < first + 20 for each in servers)


async def test_metrics_tell_the_story_of_a_session(tmp_path: Path) -> None:
    enroll(tmp_path, "anna")
    async with (
        running(settings(tmp_path, pool_size=1)) as wrapper,
        aiohttp.ClientSession() as session,
    ):
        (server,) = await ready(wrapper)
        async with TinyClient.to(server.port) as client:
            await client.log_in("anna")
            await client.ask("BYE")
        await ready(wrapper)
        async with session.get(f"{wrapper.url}/metrics") as response:
            lines = (await response.text()).splitlines()
    for line in (
        'standby_app_wrapper_instances{state="READY"} 1.0',
        'standby_app_wrapper_claims_total{outcome="granted"} 1.0',
        'standby_app_wrapper_claims_total{outcome="claimed_elsewhere"} 0.0',
        'standby_app_wrapper_logins_total{outcome="served"} 1.0',
        'standby_app_wrapper_logins_total{outcome="lost"} 0.0',
        'standby_app_wrapper_server_records_total{level="ERROR"} 0.0',
        'standby_app_wrapper_stops_total{reason="logout"} 1.0',
        "standby_app_wrapper_recycle_seconds_count 1.0",
        "standby_app_wrapper_starts_total 2.0",
    ):
        assert line in lines
    assert not [line for line in lines if "anna" in line]
    assert processes(wrapper, State.ACTIVE) == []
