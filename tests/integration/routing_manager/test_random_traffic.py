"""The real Routing Manager under random traffic, hours' worth in seconds: no error in its log, and users are served.

Its reservations are as short as its timer allows, so what takes an hour in use (a reservation shared a thousand times,
say) happens here while the test runs. Nobody of the traffic ever logs in.
"""

import asyncio
import contextlib
import itertools
import json
import os
import random
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from routing_manager.settings import PREFIX, Settings
from standby import tls
from standby.identity import Role
from standby.messages import PlatformState, Report, ReportReply
from standby.settings import to_environ
from standby.states import State
from tests.support.certificates import Certificates
from tests.support.waiting import eventually
from tests.unit.routing_manager.fakes import FakeWrapper

EXCLUSIVE: Final = 0.002
SHARES: Final = 400
"""Answers that share a reservation; more than 31 in a row of one process once ended the service."""
REPORTS: Final = 30
SOURCES: Final = ("192.0.2.1", "2001:db8::1", "no address", "")
ODD: Final = (
    "/v1/route/" + "x" * 80,
    "/v1/route/%00",
    "/v1/route/Not_A_Name",
    "/v1/route/alice?source=" + "9" * 500,
    "/v1/nothing",
    "/v1/state?x=1",
)


@dataclass
class Manager:
    """One real process."""

    url: str
    control_url: str
    log: Path
    process: asyncio.subprocess.Process

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@contextlib.asynccontextmanager
async def _manager(certificates: Certificates, log: Path, approach: str) -> AsyncIterator[Manager]:
    files = certificates.part(Role.ROUTING_MANAGER, "routing-manager")
    settings = Settings(
        port=0,
        control_port=0,
        approach=approach,  # type: ignore[arg-type]  # one of the two literals
        settle=0.0,
        exclusive=EXCLUSIVE,
        reservation=0.5,
        waiting_room=1.0,
        waiting_places=40,
        reservations_per_source=2,
        wrapper_lost=3.0,
        order_retry=0.2,
        tls_certificate=files.certificate,
        tls_key=files.key,
        tls_authorities=files.authorities,
    )
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "routing_manager",
            env={**os.environ, **to_environ(settings, PREFIX)},
            stderr=output,
        )
    try:
        listening = await eventually(lambda: _listening(log), "it listens", deadline=60)
        assert listening is not None
        yield Manager(listening["url"], listening["control_url"], log, process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _listening(log: Path) -> dict[str, Any] | None:
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.endswith("}")]
    return next((each for each in lines if each["event"] == "listening"), None)


class Traffic:
    """Strangers, impatient users, and wrappers that report well, late, twice and in nonsense."""

    def __init__(self, manager: Manager, session: aiohttp.ClientSession, seed: int) -> None:
        self._manager = manager
        self._session = session
        self._dice = random.Random(seed)
        self._numbers = itertools.count()
        self.stop = asyncio.Event()

    async def strangers(self) -> None:
        """Each asks for a made-up name, and may leave before it is answered."""
        while not self.stop.is_set():
            name = f"made-up-{next(self._numbers)}"
            source = self._dice.choice(SOURCES)
            patience = self._dice.choice([0.01, 0.1, 20.0])
            path = self._dice.choice(ODD) if self._dice.random() < 0.1 else f"/v1/route/{name}"
            with contextlib.suppress(TimeoutError):
                async with (
                    asyncio.timeout(patience),
                    self._session.get(self._manager.url + path, params={"source": source}) as got,
                ):
                    assert got.status < 500 or got.status == 503, await got.text()

    async def reports(self, wrapper: FakeWrapper, context: Any) -> None:
        """Every process of the wrapper ends and is replaced now and then; some reports are old, some are no reports."""
        url = f"{self._manager.control_url}/v1/wrappers/{wrapper.wrapper_id}/report"
        sent: list[Report] = []
        while not self.stop.is_set():
            slot = self._dice.randrange(3)
            if self._dice.random() < 0.02:
                wrapper.stop(slot) if slot in wrapper.slots else wrapper.start(slot)
            elif slot not in wrapper.slots or wrapper.slots[slot].state is State.STOPPED:
                wrapper.start(slot, self._dice.choice([State.STARTING, State.READY]))
            elif wrapper.slots[slot].state is State.STARTING:
                wrapper.ready(slot)
            wrapper.draining = self._dice.random() < 0.02
            sent.append(wrapper.full() if self._dice.random() < 0.7 else wrapper.partial())
            body = msgspec.json.encode(self._dice.choice([sent[-1], sent[-1], sent[0]]))
            odd = self._dice.random() < 0.05
            async with self._session.post(
                url, data=body[: 1 + odd * -20] if odd else body, ssl=context
            ) as got:
                assert got.status in ({400} if odd else {200}), await got.text()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._dice.choice([0.0, 0.02, 0.1])):
                    await self.stop.wait()


@pytest.mark.parametrize("approach", ["standby", "on-demand"])
async def test_random_traffic_without_a_login_leaves_no_error_in_the_log(
    certificates: Certificates, tmp_path: Path, approach: str
) -> None:
    log = tmp_path / "manager.log"
    async with (
        _manager(certificates, log, approach) as manager,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session,
    ):
        traffic = Traffic(manager, session, seed=11)
        wrappers = [FakeWrapper(name, capacity=4) for name in ("w1", "w2")]
        contexts = {
            each.wrapper_id: tls.client_context(certificates.part(Role.WRAPPER, each.wrapper_id))
            for each in wrappers
        }
        async with asyncio.TaskGroup() as group:
            for _ in range(30):
                group.create_task(traffic.strangers())
            for wrapper in wrappers:
                group.create_task(traffic.reports(wrapper, contexts[wrapper.wrapper_id]))
            try:
                await _enough(session, manager, approach)
            finally:
                traffic.stop.set()
        await _serves(session, manager, wrappers[0], contexts[wrappers[0].wrapper_id])
        async with session.get(f"{manager.url}/metrics") as got:
            assert "manager_errors_total{" in (text := await got.text())
        assert not _contained(text), "an error was contained"
        bad = [each for each in manager.records() if each["level"] in {"ERROR", "CRITICAL"}]
        assert not bad, bad[:3]
        assert "Traceback" not in log.read_text()
        assert manager.process.returncode is None


def _contained(metrics: str) -> float:
    return sum(
        each.value
        for family in text_string_to_metric_families(metrics)
        for each in family.samples
        if each.name == "standby_routing_manager_errors_total"
    )


async def _enough(session: aiohttp.ClientSession, manager: Manager, approach: str) -> None:
    wanted = SHARES if approach == "standby" else 0

    async def counted() -> bool:
        async with session.get(f"{manager.url}/metrics") as got:
            families = list(text_string_to_metric_families(await got.text()))
        values = {
            (each.name.removeprefix("standby_routing_manager_"), *each.labels.values()): each.value
            for family in families
            for each in family.samples
        }
        shared = values["assignments_total", "shared"]
        refused = values["waits_total", "refused"]
        return bool(
            shared > wanted
            and shared + refused > SHARES
            and values["reports_total", "accepted"] > REPORTS
        )

    await eventually(counted, "enough has happened", deadline=90)


async def _serves(
    session: aiohttp.ClientSession, manager: Manager, wrapper: FakeWrapper, context: Any
) -> None:
    """A user is sent to a server that becomes READY now."""
    wrapper.draining = False
    url = f"{manager.control_url}/v1/wrappers/{wrapper.wrapper_id}/report"

    async def routed() -> bool:
        wrapper.start(0)
        body = msgspec.json.encode(wrapper.full())
        async with session.post(url, data=body, ssl=context) as got:
            msgspec.json.decode(await got.read(), type=ReportReply)
        async with session.get(f"{manager.url}/v1/route/alice") as got:
            return got.status == 200

    await eventually(routed, "a user is served", deadline=60)
    async with session.get(f"{manager.url}/v1/state") as got:
        state = msgspec.json.decode(await got.read(), type=PlatformState)
    assert "alice" in {each.user for each in state.instances}
