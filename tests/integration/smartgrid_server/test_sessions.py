"""Sessions of real server processes: how they begin, who shares them, and every way in which they end."""

import asyncio
import signal
from pathlib import Path

import aiohttp
import pytest

from smartgrid_server import database
from standby import lines
from standby.identity import Role
from tests.support.certificates import Certificates
from tests.support.smartgrid import (
    GENERATION,
    KEY,
    OTHER_KEY,
    Answer,
    Client,
    Reply,
    files_of,
    kept,
    new_volume,
    running,
    secret,
    stored,
    volumes,
)
from tests.support.waiting import eventually

ALARM = {"alarms": [{"metric": "power", "threshold": 9.5}]}


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    return new_volume(tmp_path, "alice")


async def test_a_session_from_login_to_logout(certificates: Certificates, volume: Path) -> None:
    async with (
        running(certificates, volumes(alice=volume)) as server,
        Client(certificates, server) as customer,
    ):
        reply = await customer.login()
        assert reply.status == 200
        assert reply.body["boot_id"] == server.boot_id
        assert reply.body["generation"] == GENERATION
        assert reply.body["expires_in"] == 600
        assert (await customer.post("write", ALARM)).body == {"stored": 1}
        assert (await customer.logout()).body["ended"] is True

        assert await server.ends() == 0
        assert server.said == ["WAITING_LOGIN", "LOGIN alice", "LOGOUT logout"]
    assert stored(volume, "alarms") == [(1, "power", 9.5)]
    assert files_of(volume) == [database.FILE_NAME]


async def test_meter_and_customer_share_one_claim_and_leave_one_after_the_other(
    certificates: Certificates, volume: Path
) -> None:
    async with (
        running(certificates, volumes(alice=volume)) as server,
        Client(certificates, server) as customer,
        Client(certificates, server, role=Role.METER) as meter,
    ):
        replies = await asyncio.gather(customer.login(), meter.login())
        assert [reply.status for reply in replies] == [200, 200]
        assert server.said == ["WAITING_LOGIN", "LOGIN alice"]

        batch = {"rows": [[10, 1.0, 2.0, 3.0], [20, 3.0, 2.0, 1.0]]}
        assert (await meter.post("long-write", batch)).body == kept(stored=2)
        assert (await meter.logout()).body["ended"] is False
        assert (await meter.post("long-write", batch)).code == "unknown_token"
        averages = await customer.get("query-avg?metric=power&bucket=20")
        assert averages.body == {
            "metric": "power",
            "count": 2,
            "average": 2.0,
            "buckets": [
                {"start": 0, "count": 1, "average": 1.0},
                {"start": 20, "count": 1, "average": 3.0},
            ],
            "first": 10,
            "last": 20,
        }
        assert (await customer.logout()).body["ended"] is True
        assert await server.ends() == 0


async def test_a_second_client_with_another_key_does_not_get_in_and_the_session_goes_on(
    certificates: Certificates, volume: Path
) -> None:
    async with (
        running(certificates, volumes(alice=volume)) as server,
        Client(certificates, server) as customer,
        Client(certificates, server, role=Role.METER) as meter,
    ):
        await customer.login()
        for _ in range(4):
            assert (await meter.login(OTHER_KEY)).code == "wrong_key"
        assert (await customer.post("write", ALARM)).status == 200


async def test_the_process_belongs_to_the_first_user_for_good(
    certificates: Certificates, volume: Path
) -> None:
    async with (
        running(certificates, volumes(alice=volume)) as server,
        Client(certificates, server, "alice") as alice,
        Client(certificates, server, "bob") as bob,
    ):
        assert (await alice.get("login-challenge")).status == 200  # it reads her requests now
        for _ in range(2):
            with pytest.raises(aiohttp.ClientConnectorSSLError, match="INTERNAL_ERROR"):
                await bob.login()  # which says: not here, not now
            assert (await alice.login()).status == 200
        assert (await alice.post("write", ALARM)).status == 200
        assert server.said == ["WAITING_LOGIN", "LOGIN alice"]


async def test_two_users_at_once_one_wins(certificates: Certificates, tmp_path: Path) -> None:
    paths = volumes(alice=new_volume(tmp_path, "alice"), bob=new_volume(tmp_path, "bob"))
    async with (
        running(certificates, paths) as server,
        Client(certificates, server, "alice") as alice,
        Client(certificates, server, "bob") as bob,
    ):
        outcomes = await asyncio.gather(alice.login(), bob.login(), return_exceptions=True)
        (won,) = [each for each in outcomes if isinstance(each, Reply) and each.status == 200]
        (lost,) = [each for each in outcomes if each is not won]
        refused_in_tls = isinstance(lost, aiohttp.ClientConnectorSSLError)
        assert refused_in_tls or (isinstance(lost, Reply) and lost.code == "server_taken")
        assert len([line for line in server.said if line.startswith("LOGIN")]) == 1


async def test_a_user_who_comes_and_leaves_without_login_ends_the_process(
    certificates: Certificates, volume: Path
) -> None:
    """Nobody else gets a process that has read their requests; they themselves may come back meanwhile."""
    async with running(certificates, volumes(alice=volume), login_deadline=2) as server:
        async with Client(certificates, server, "alice") as alice:
            await alice.get("login-challenge")
        async with Client(certificates, server, "alice") as alice:
            await alice.get("login-challenge")
        assert await server.ends() == 0
        assert server.said == ["WAITING_LOGIN", "LOGOUT no_login"]


async def test_a_user_who_comes_and_waits_ends_the_process_too(
    certificates: Certificates, volume: Path
) -> None:
    async with (
        running(certificates, volumes(alice=volume), login_deadline=1) as server,
        Client(certificates, server, "alice") as alice,
    ):
        await alice.get("login-challenge")
        assert await server.ends() == 0
        assert server.said == ["WAITING_LOGIN", "LOGOUT no_login"]


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (lines.Denied("claimed_elsewhere", "held by 00112233aabbccdd"), 409, "claimed_elsewhere"),
        (lines.Denied("unknown_user", "enroll first"), 404, "unknown_user"),
        (lines.Denied("volume_unavailable", "try again"), 503, "volume_unavailable"),
        (lines.Denied("volume_damaged", "restore it"), 409, "volume_damaged"),
        (lines.Denied("volume_over_limit", "more than 1000 files"), 409, "volume_over_limit"),
        (lines.Denied("something_new", "who knows"), 503, "volume_unavailable"),
        (None, 503, "volume_unavailable"),
        (lines.Volume("/nowhere", GENERATION), 500, "database_missing"),
    ],
)
async def test_a_volume_that_cannot_be_had_ends_the_process_with_a_clear_answer(
    certificates: Certificates, answer: Answer, status: int, code: str
) -> None:
    async with (
        running(certificates, {"alice": answer}, volume_answer=0.2) as server,
        Client(certificates, server) as customer,
    ):
        refusal = await customer.login()
        assert (refusal.status, refusal.code) == (status, code)
        if isinstance(answer, lines.Denied):
            assert answer.text in refusal.body["error"]["message"]
        assert await server.ends() == 0
        reason = "data_damaged" if code == "database_missing" else "refused"
        assert server.said[-1] == f"LOGOUT {reason}"


async def test_a_wrong_key_can_be_tried_again(certificates: Certificates, volume: Path) -> None:
    async with (
        running(certificates, volumes(alice=volume)) as server,
        Client(certificates, server) as customer,
    ):
        refusal = await customer.login(OTHER_KEY)
        assert (refusal.status, refusal.code) == (401, "wrong_key")
        assert (await customer.login(OTHER_KEY)).code == "wrong_key"
        assert (await customer.login(KEY)).status == 200
        assert server.said == ["WAITING_LOGIN", "LOGIN alice"]


async def test_three_wrong_keys_give_the_volume_back(
    certificates: Certificates, volume: Path
) -> None:
    async with (
        running(certificates, volumes(alice=volume)) as server,
        Client(certificates, server) as customer,
    ):
        codes = [(await customer.login(OTHER_KEY)).code for _ in range(3)]
        assert codes == ["wrong_key"] * 3
        assert await server.ends() == 0
        assert server.said[-1] == "LOGOUT refused"


async def test_after_a_wrong_key_the_volume_is_not_kept_for_long(
    certificates: Certificates, volume: Path
) -> None:
    async with (
        running(certificates, volumes(alice=volume), login_retry=0.2) as server,
        Client(certificates, server) as customer,
    ):
        await customer.login(OTHER_KEY)
        assert await server.ends() == 0
        assert server.said[-1] == "LOGOUT refused"


async def test_a_damaged_database_is_not_called_a_wrong_key(
    certificates: Certificates, volume: Path
) -> None:
    file = volume / database.FILE_NAME
    content = bytearray(file.read_bytes())
    content[1000] ^= 1
    file.write_bytes(content)
    async with (
        running(certificates, volumes(alice=volume)) as server,
        Client(certificates, server) as customer,
    ):
        refusal = await customer.login()
        assert (refusal.status, refusal.code) == (500, "database_damaged")
        assert await server.ends() == 0
        assert server.said[-1] == "LOGOUT data_damaged"


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"session_length": 0.4}, "LOGOUT expired"),
        ({"session_idle": 0.4}, "LOGOUT idle"),
    ],
)
async def test_a_session_that_runs_out_ends_as_logout_does(
    certificates: Certificates, volume: Path, settings: dict[str, float], line: str
) -> None:
    async with (
        running(certificates, volumes(alice=volume), **settings) as server,
        Client(certificates, server) as customer,
    ):
        await customer.login()
        await customer.post("write", ALARM)
        assert await server.ends() == 0
        assert server.said[-1] == line
    assert len(stored(volume, "alarms")) == 1


async def test_requests_keep_a_session_from_being_idle_and_each_token_has_its_own_end(
    certificates: Certificates, volume: Path
) -> None:
    settings = {"session_length": 1.0, "session_idle": 0.5}
    async with (
        running(certificates, volumes(alice=volume), **settings) as server,
        Client(certificates, server) as first,
        Client(certificates, server) as second,
    ):
        await first.login()
        loop = asyncio.get_running_loop()
        half = loop.time() + 0.5

        seen: list[Reply] = []

        async def half_over() -> bool:
            seen.append(await first.get("alarms"))
            return loop.time() > half

        async def first_refused() -> bool:
            seen.append(await first.get("alarms"))
            return seen[-1].status != 200

        await eventually(half_over, "half of the first token's time is over")
        assert {reply.status for reply in seen} == {200}
        await second.login()
        await eventually(first_refused, "the first token expires")
        assert (seen[-1].status, seen[-1].code) == (401, "expired_token")
        assert (await second.get("alarms")).status == 200


@pytest.mark.parametrize("logged_in", [False, True])
async def test_closing_stdin_ends_the_session_and_the_process(
    certificates: Certificates, volume: Path, *, logged_in: bool
) -> None:
    async with (
        running(certificates, volumes(alice=volume)) as server,
        Client(certificates, server) as customer,
    ):
        if logged_in:
            await customer.login()
        server.close_stdin()
        assert await server.ends() == 0
        assert server.said[-1] == "LOGOUT drained"


async def test_a_server_asked_to_stop_does_not_wait_for_the_volume(
    certificates: Certificates,
) -> None:
    async with (
        running(certificates, {"alice": None}) as server,
        Client(certificates, server) as customer,
    ):
        login = asyncio.create_task(customer.login())
        await server.says("LOGIN alice")
        server.process.send_signal(signal.SIGTERM)
        assert (await login).code == "session_over"
        assert await server.ends() == 0
        assert server.said[-1] == "LOGOUT drained"


async def test_a_connection_that_does_not_log_in_is_closed_and_one_that_did_stays(
    certificates: Certificates, volume: Path
) -> None:
    async with (
        running(certificates, volumes(alice=volume), login_deadline=0.5) as server,
        Client(certificates, server) as customer,
    ):
        await customer.login()
        context = certificates.user_context("alice")
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", server.port, ssl=context, server_hostname="alice"
        )
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        writer.close()
        assert (await customer.post("write", ALARM)).status == 200


async def test_work_under_way_is_finished_and_answered_before_the_end(
    certificates: Certificates, volume: Path
) -> None:
    rows = [[second, 1.0, 2.0, 3.0] for second in range(20_000)]
    async with (
        running(certificates, volumes(alice=volume)) as server,
        Client(certificates, server) as customer,
        Client(certificates, server, role=Role.METER) as meter,
    ):
        await asyncio.gather(customer.login(), meter.login())
        await customer.logout()
        writing = asyncio.create_task(meter.post("long-write", {"rows": rows}))
        journal = volume / f"{database.FILE_NAME}-wal"
        empty = journal.stat().st_size
        await eventually(lambda: writing.done() or journal.stat().st_size > empty, "it writes")
        server.close_stdin()
        assert (await writing).body == kept(stored=len(rows))
        assert await server.ends() == 0
    assert len(stored(volume, "metrics")) == len(rows)


async def test_a_dedicated_server_claims_once_and_serves_one_session_after_another(
    certificates: Certificates, volume: Path
) -> None:
    file = volume / database.FILE_NAME
    async with (
        running(certificates, volumes(alice=volume), dedicated_uid="alice") as server,
        Client(certificates, server) as customer,
    ):
        tokens = set()
        for _ in range(2):
            for _ in range(4):
                assert (await customer.login(OTHER_KEY)).code == "wrong_key"
            assert (await customer.login()).status == 200
            tokens.add(customer.token)
            assert (await customer.post("write", ALARM)).status == 200
            assert (await customer.logout()).body["ended"] is True
            # nobody has it open between sessions
            assert await asyncio.to_thread(database.opens_with, file, secret())
            assert (await customer.get("alarms")).code in {"expired_token", "unknown_token"}
        assert len(tokens) == 2
        server.close_stdin()
        assert await server.ends() == 0
        assert server.said == ["LOGIN alice", "LOGOUT drained"]
    assert len(stored(volume, "alarms")) == 2


async def test_a_dedicated_server_without_its_volume_fails(certificates: Certificates) -> None:
    denied = {"alice": lines.Denied("claimed_elsewhere", "held by 00112233aabbccdd")}
    async with running(certificates, denied, dedicated_uid="alice") as server:
        assert await server.ends() == 1
        assert server.said == ["LOGIN alice", "LOGOUT refused"]


async def test_unusable_settings_have_an_exit_code_of_their_own(
    certificates: Certificates, tmp_path: Path
) -> None:
    async with running(certificates, {}, issuer_key=tmp_path / "none.pem") as server:
        assert await server.ends() == 78
        assert server.said == []
