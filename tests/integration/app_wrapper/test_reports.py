"""Reports to a Routing Manager that is slow, away, forgetful or ahead; the pool never minds."""

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from msgspec import structs
from prometheus_client import CollectorRegistry

from app_wrapper.epoch import EpochStore
from app_wrapper.metrics import Metrics
from app_wrapper.outbox import Snapshot
from app_wrapper.reporter import Reporter
from app_wrapper.wrapper import Wrapper, running
from standby import tls
from standby.identity import Role
from standby.ids import BootId, Slot, WrapperId
from standby.messages import InstanceReport, ReportOutcome
from standby.processes import reserve_port
from standby.states import State
from tests.support.certificates import Certificates
from tests.support.report_receiver import ReportReceiver
from tests.support.waiting import eventually
from tests.support.wrapper import TinyClient, enroll, ready, settings, with_tls

Report = Callable[..., contextlib.AbstractAsyncContextManager[Wrapper]]


@pytest.fixture
def manager_tls(certificates: Certificates) -> ssl.SSLContext:
    return tls.server_context(certificates.part(Role.ROUTING_MANAGER, "main"))


@pytest.fixture
async def receiver(manager_tls: ssl.SSLContext) -> AsyncIterator[ReportReceiver]:
    async with ReportReceiver.listening(manager_tls) as listening:
        yield listening


@pytest.fixture
def reporting(tmp_path: Path, certificates: Certificates) -> Report:
    enroll(tmp_path, "anna")

    def begin(url: str, **changes: Any) -> contextlib.AbstractAsyncContextManager[Wrapper]:
        identity = with_tls(certificates.part(Role.WRAPPER, "w1"))
        return running(settings(tmp_path, report_urls=(url,), **identity, **changes))

    return begin


async def test_the_first_report_is_full_and_says_who_is_there(
    receiver: ReportReceiver, reporting: Report
) -> None:
    async with reporting(receiver.url, pool_size=2, capacity=7) as wrapper:
        await eventually(lambda: receiver.reports, "a report arrived")
        first = receiver.reports[0]
        assert (first.full, first.epoch, first.sequence, first.capacity) == (True, 1, 1, 7)
        assert first.control_url == wrapper.control_url
        assert receiver.paths == {"/v1/wrappers/w1/report"}


async def test_the_last_report_says_goodbye_and_every_entry_says_how_old_it_is(
    receiver: ReportReceiver, reporting: Report
) -> None:
    async with reporting(receiver.url, pool_size=1) as wrapper:
        (server,) = await ready(wrapper)
        await eventually(
            lambda: [
                each
                for report in receiver.reports
                for each in report.instances
                if each.state is State.READY and each.ages and each.ages.state > 0
            ],
            "a READY server's age is reported",
        )
        assert not any(report.leaving for report in receiver.reports)
    last = receiver.reports[-1]
    assert (last.full, last.leaving) == (True, True)
    ages = [
        each.ages
        for report in receiver.reports
        for each in report.instances
        if each.boot_id == server.boot_id
    ]
    processes = [each.process for each in ages if each is not None]
    assert len(processes) == len(ages)
    assert processes == sorted(processes)


async def test_for_how_long_nothing_was_accepted_is_in_the_metrics(
    reporting: Report, receiver: ReportReceiver
) -> None:
    with reserve_port() as silent:  # bound, and nobody listens
        port = silent.getsockname()[1]
        for url, away in ((receiver.url, False), (f"https://127.0.0.1:{port}", True)):
            async with reporting(url, pool_size=0, heartbeat=0.05) as wrapper:

                async def unreported(wrapper: Wrapper = wrapper) -> float:
                    async with (
                        aiohttp.ClientSession() as session,
                        session.get(f"{wrapper.url}/metrics") as response,
                    ):
                        text = await response.text()
                    (line,) = re.findall(
                        r"^standby_app_wrapper_unreported_seconds (\S+)", text, re.MULTILINE
                    )
                    return float(line)

                if away:
                    await eventually(partial(_over, unreported, 1.0), "the silence grows")
                else:
                    await eventually(lambda: len(receiver.reports) > 2, "reports are accepted")
                    assert await unreported() < 1.0


async def _over(figure: Callable[[], Awaitable[float]], limit: float) -> bool:
    return await figure() > limit


async def test_changes_are_reported_at_once_over_one_connection(
    receiver: ReportReceiver, reporting: Report
) -> None:
    async with reporting(receiver.url, pool_size=2, heartbeat=60.0) as wrapper:
        first, _ = await ready(wrapper, 2)
        await eventually(lambda: len(receiver.story(first.boot_id)) >= 1, "READY was reported")
        async with TinyClient.to(first.port) as client:
            await client.log_in("anna")
            await eventually(
                lambda: receiver.story(first.boot_id)[-1].generation == 1, "ACTIVE was reported"
            )
        assert len(receiver.peers) == 1
        sequences = [each.sequence for each in receiver.reports]
        assert sequences == list(range(1, len(sequences) + 1))
        last = receiver.reports[-1]
        assert not last.full
        assert [each.boot_id for each in last.instances] == [first.boot_id]


async def test_without_changes_each_heartbeat_is_a_full_report(
    receiver: ReportReceiver, reporting: Report
) -> None:
    async with reporting(receiver.url, pool_size=2, heartbeat=0.05) as wrapper:
        await ready(wrapper, 2)
        count = len(receiver.reports)

        def heartbeats() -> bool:
            later = receiver.reports[count:][-3:]
            return len(later) == 3 and all(each.full and len(each.instances) == 2 for each in later)

        await eventually(heartbeats, "three heartbeats in a row are full reports")


async def test_a_routing_manager_that_does_not_answer_blocks_nobody(
    receiver: ReportReceiver, reporting: Report
) -> None:
    receiver.answering.clear()
    async with reporting(receiver.url, report_timeout=60.0) as wrapper:
        server = (await ready(wrapper, 2))[0]
        async with TinyClient.to(server.port) as client:
            await client.log_in("anna")
            await client.ask("BYE")
        await ready(wrapper, 2)
        assert len(receiver.reports) == 1
        receiver.answering.set()
        await eventually(
            lambda: receiver.reports[-1].full or len(receiver.reports) > 1, "it goes on"
        )
        await eventually(
            lambda: {each.state for each in receiver.reports[-1].instances} == {State.READY},
            "all changes came together",
        )


async def test_resync_is_answered_with_a_full_report_at_once(
    receiver: ReportReceiver, reporting: Report
) -> None:
    async with reporting(receiver.url, pool_size=2, heartbeat=60.0) as wrapper:
        server = (await ready(wrapper, 2))[0]
        await eventually(lambda: receiver.story(server.boot_id), "reported")
        before = len(receiver.reports)
        receiver.reply_next(ReportOutcome.RESYNC, 1)
        async with TinyClient.to(server.port) as client:
            await client.log_in("anna")
            full = await eventually(
                lambda: [each for each in receiver.reports[before:] if each.full], "a full report"
            )
        assert len(full[0].instances) == 2


async def test_stale_makes_the_wrapper_continue_above_the_known_epoch(
    receiver: ReportReceiver, reporting: Report, tmp_path: Path
) -> None:
    receiver.reply_next(ReportOutcome.STALE, 41)
    async with reporting(receiver.url) as wrapper:
        raised = await eventually(
            lambda: [each for each in receiver.reports if each.epoch == 42], "the epoch was raised"
        )
        assert (raised[0].full, raised[0].sequence) == (True, 1)
        assert (tmp_path / "state/epoch").read_text() == "42\n"
        assert wrapper.supervisor.state().epoch == 42


ABSURD = {
    "an epoch of 4,300 digits": b'{"outcome":"stale","epoch":' + b"9" * 4300 + b"}",
    "an epoch above all": b'{"outcome":"stale","epoch":18446744073709551616}',
    "the last epoch": b'{"outcome":"stale","epoch":9007199254740991}',
    "an epoch out of reach": b'{"outcome":"stale","epoch":1048578}',
    "deep JSON": b'{"outcome":"stale","unknown":' + b"[" * 200_000,
    "an endless answer": b'{"outcome":"stale","epoch":' + b" " * 10_000_000 + b"9}",
    "no JSON": b"\xff",
    "another type": b"[]",
}


@pytest.mark.parametrize("reply", ABSURD.values(), ids=ABSURD.keys())
async def test_an_absurd_answer_costs_that_report_and_nothing_else(
    receiver: ReportReceiver, reporting: Report, tmp_path: Path, reply: bytes
) -> None:
    receiver.body = reply
    async with reporting(receiver.url, heartbeat=0.05) as wrapper:
        served = {each.boot_id for each in await ready(wrapper, 2)}
        trouble = await eventually(
            lambda: wrapper.supervisor.state().degraded, "the operator can see it"
        )
        assert "reports to https://" in str(trouble)
        receiver.body = None
        await eventually(lambda: not wrapper.supervisor.state().degraded, "it is well again")
        assert (tmp_path / "state/epoch").read_text() == "1\n"
        assert served == {each.boot_id for each in await ready(wrapper, 2)}


class Bugs:
    """A wrapper whose picture of itself cannot be had at first, or has an entry in it that nobody could report."""

    def __init__(self, failing: int = 0, bad: InstanceReport | None = None) -> None:
        self.failing = failing
        self.bad = bad
        self.good = InstanceReport(
            slot=Slot(1), boot_id=BootId("1" * 16), address="127.0.0.1", port=1, state=State.READY
        )

    def snapshot(self) -> Snapshot:
        self.failing -= 1
        if self.failing >= 0:
            raise RuntimeError("a bug")
        entries = [self.good] if self.bad is None else [self.good, self.bad]
        return Snapshot({each.boot_id: each for each in entries}, 2, False, None, None)


@pytest.fixture
async def reporter_of(
    receiver: ReportReceiver, certificates: Certificates, tmp_path: Path
) -> AsyncIterator[Callable[[Bugs], Reporter]]:
    store = EpochStore(tmp_path / "reporter")
    tasks: list[asyncio.Task[None]] = []

    def begin(bugs: Bugs) -> Reporter:
        reporter = Reporter(
            receiver.url,
            WrapperId("w1"),
            tls.client_context(certificates.part(Role.WRAPPER, "w1")),
            store,
            bugs.snapshot,
            Metrics(CollectorRegistry()),
            heartbeat=0.05,
            timeout=20.0,
        )
        tasks.append(asyncio.create_task(reporter.run()))
        return reporter

    yield begin
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    store.close()


async def test_an_error_that_nobody_thought_of_costs_some_reports_and_is_logged_once(
    receiver: ReportReceiver,
    reporter_of: Callable[[Bugs], Reporter],
    caplog: pytest.LogCaptureFixture,
) -> None:
    reporter = reporter_of(Bugs(failing=4))
    await eventually(lambda: reporter.problem, "the operator can see it")
    await eventually(lambda: reporter.accepted, "reports go on")
    assert reporter.problem is None
    assert receiver.reports[0].full
    assert [each.message for each in caplog.records].count("error_contained") == 1


@pytest.mark.parametrize("text", ["x" * 300, "\x1b[31m", "\udce9"])
async def test_an_entry_that_would_be_refused_is_left_out_and_said_once(
    receiver: ReportReceiver,
    reporter_of: Callable[[Bugs], Reporter],
    caplog: pytest.LogCaptureFixture,
    text: str,
) -> None:
    bugs = Bugs()
    bugs.bad = structs.replace(bugs.good, slot=Slot(0), boot_id=BootId("0" * 16), attestation=text)
    reporter = reporter_of(bugs)
    await eventually(lambda: len(receiver.reports) >= 3, "reports arrive")
    assert reporter.accepted
    assert {each.boot_id for report in receiver.reports for each in report.instances} == {"1" * 16}
    left_out = [each for each in caplog.records if each.message == "report_entry_left_out"]
    assert len(left_out) == 1
    assert reporter._metrics.entries_left_out._value.get() == 1


async def test_when_the_routing_manager_is_back_it_is_told_everything(
    reporting: Report, manager_tls: ssl.SSLContext
) -> None:
    with contextlib.closing(reserve_port()) as reserved:
        port = reserved.getsockname()[1]
        async with reporting(f"https://127.0.0.1:{port}", heartbeat=0.1) as wrapper:
            await ready(wrapper, 2)
            for _ in range(2):  # it comes, goes without a word, and comes again
                async with ReportReceiver.listening(manager_tls, port) as receiver:
                    await eventually(lambda r=receiver: r.reports, "it was told")  # type: ignore[misc]  # bound now
                    assert receiver.reports[0].full
                    assert len(receiver.reports[0].instances) == 2


async def test_a_routing_manager_of_another_authority_is_told_nothing(
    reporting: Report, certificates: Certificates
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    files = certificates.user("mallory")
    context.load_cert_chain(files.certificate, files.key)
    async with (
        ReportReceiver.listening(context) as receiver,
        reporting(receiver.url, heartbeat=0.05) as wrapper,
    ):
        await ready(wrapper, 2)
        failed = wrapper.supervisor._metrics.reports.labels("failed")
        await eventually(lambda: failed._value.get() >= 2, "reports fail")
        assert receiver.reports == []


async def test_the_last_report_says_that_nothing_is_left(
    receiver: ReportReceiver, reporting: Report
) -> None:
    async with reporting(receiver.url, heartbeat=60.0) as wrapper:
        await ready(wrapper, 2)
        wrapper.supervisor.drain()
        await wrapper.supervisor.until_empty()
    last = receiver.reports[-1]
    assert (last.full, last.draining, last.instances) == (True, True, [])


async def test_readiness_needs_an_accepted_report(
    receiver: ReportReceiver, reporting: Report
) -> None:
    receiver.answering.clear()
    async with reporting(receiver.url, report_timeout=60.0) as wrapper:
        await ready(wrapper, 2)
        assert "accepts no reports" in await _readiness(wrapper)
        receiver.answering.set()

        async def is_ready() -> bool:
            return await _readiness(wrapper) == "ok"

        await eventually(is_ready, "it is ready")


async def _readiness(wrapper: Wrapper) -> str:
    host, port = wrapper.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /readyz HTTP/1.0\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    await writer.wait_closed()
    return answer.decode().split("\r\n\r\n")[1].strip()
