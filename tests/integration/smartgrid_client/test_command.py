"""The command as a person runs it: a process of its own, its output, its exit status."""

import asyncio
import csv
import io
import json
import signal
import socket
from collections import deque
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from smartgrid_client.generator import generate
from smartgrid_client.readings import plain_lines
from tests.integration.smartgrid_client.command_line import (
    DEADLINE,
    arguments,
    at_a_terminal,
    ended,
    of_meter,
    run,
    running,
)
from tests.integration.smartgrid_client.conftest import UID, AttestedPlace, Place
from tests.support.certificates import Certificates
from tests.support.smartgrid_stub import Fault
from tests.support.waiting import eventually

DAY = 86_400


@pytest.fixture
def place(attested: AttestedPlace) -> AttestedPlace:
    return attested


@pytest.fixture
def command(place: AttestedPlace, tmp_path: Path) -> list[str]:
    return [*arguments(place, tmp_path), "-policy", str(place.policy)]


@pytest.fixture
def meter(place: AttestedPlace, command: list[str]) -> list[str]:
    return [*command, *of_meter(place)]


async def test_the_dissertations_flat_command_runs_a_meter(
    place: Place, command: list[str]
) -> None:
    files = ["-cert", str(place.meter.certificate), "-key", str(place.meter.key)]
    result = await run(command, *files, "-mode", "1", "-duration", "1", "-frequency", "0.3")
    assert result.status == 0, result.err
    assert len(place.stub.batches) == 4
    assert all(len(rows) == 240 for rows in place.stub.batches)
    assert place.stub.tokens == set()
    assert "LONG_WRITE" in result.out
    assert "960 readings stored in 4 batches" in result.out


async def test_csv_holds_one_line_per_request_and_nothing_else(
    place: Place, command: list[str]
) -> None:
    more = ["--mode", "customer", "--duration", "0.5", "--frequency", "0.1", "--writeRatio", "0.5"]
    result = await run(command, *more, "-csv", "--seed", "7")
    rows = list(csv.DictReader(io.StringIO(result.out)))
    assert result.status == 0, result.err
    assert [row["operation"] for row in rows] == [
        {"login": "LOGIN", "logout": "LOGOUT", "write": "WRITE", "query-avg": "QUERY_AVG"}[each]
        for each in place.stub.requests
    ]
    assert {row["status"] for row in rows} == {"ok"}
    assert all(float(row["latency_ms"]) > 0 for row in rows)
    assert "p95" in result.err


async def test_a_file_in_the_household_format_is_pushed_in_batches_of_15_second_readings(
    place: Place, meter: list[str]
) -> None:
    sample = Path("smartgrid_client/sample/household_power_2007-02.txt")
    period = ["--start", "2007-02-22T12:00", "--end", "2007-02-23"]
    more = ["--readings", str(sample), "--step", "15", "--batch", "12h"]
    result = await run(meter, *more, *period, "--frequency", "0", "--json", "-")
    summary = json.loads(result.out)
    assert result.status == 0, result.err
    assert [len(rows) for rows in place.stub.batches] == [2880 - 8]
    assert summary["rows_stored"] == 2872
    assert summary["readings_skipped"] == {"missing": 2}
    assert summary["operations"]["LONG_WRITE"]["errors"] == 0


@pytest.mark.parametrize(("mode", "path"), [("1", "long-write"), ("2", "query-avg")])
async def test_a_certificate_that_may_not_do_it_ends_the_run_at_once(
    place: Place, command: list[str], mode: str, path: str
) -> None:
    place.stub.faults[path] = deque([Fault.FORBIDDEN])
    more = ["-mode", mode, "-duration", "600", "-frequency", "0.1", "-writeRatio", "0"]
    result = await run(command, *more, *(of_meter(place) if mode == "1" else ()))
    assert result.status == 1
    assert "wrong_role" in result.out
    assert place.stub.requests == ["login", path, "logout"]


async def test_another_users_certificate_is_told_before_anything_is_sent(
    place: Place, command: list[str], certificates: Certificates
) -> None:
    """It is no server's fault: never a refused server (exit status 3)."""
    bob = certificates.user("bob")
    files = ["--cert", str(bob.certificate), "--key", str(bob.key)]
    result = await run(command, "--mode", "2", *files)
    assert result.status == 2
    assert f"is the certificate of customer bob, not of {UID}" in result.err
    result = await run(command, "--mode", "2", "--sni", "a-name-that-is-nobodys")
    assert result.status == 2
    assert f"certificate of customer {UID}, not of a-name-that-is-nobodys" in result.err
    assert place.gate.count == 0


@pytest.mark.parametrize("mode", ["meter", "customer"])
async def test_a_role_that_may_not_is_refused_before_a_session_is_spent(
    place: Place, command: list[str], mode: str
) -> None:
    own = [] if mode == "meter" else of_meter(place)
    result = await run(command, *own, "--mode", mode)
    assert result.status == 2
    assert f"pass the files of the {mode}" in result.err
    assert place.gate.count == 0


async def test_an_encrypted_key_takes_a_passphrase_file_and_asks_nobody_without_a_terminal(
    place: Place, command: list[str], tmp_path: Path
) -> None:
    key, passphrase = tmp_path / "encrypted.pem", tmp_path / "passphrase"
    passphrase.write_text("a b c\n")
    _encrypt(place.tls.key, key, b"a b c")
    more = ["--mode", "2", "--duration", "0.1", "--frequency", "0.1", "--key", str(key)]
    result = await run(["setsid", "--wait", *command], *more)
    assert result.status == 2
    assert f"{key} is encrypted, and there is no terminal" in result.err
    assert "--passphrase-file" in result.err
    result = await run(command, *more, "--passphrase-file", str(passphrase))
    assert result.status == 0, result.err
    assert "a b c" not in result.out + result.err


async def test_an_encrypted_key_is_asked_for_at_the_terminal_by_its_name(
    place: Place, command: list[str], tmp_path: Path
) -> None:
    key = tmp_path / "encrypted.pem"
    _encrypt(place.tls.key, key, b"a b c")
    more = ["--mode", "2", "--duration", "0.1", "--frequency", "0.1", "--key", str(key)]
    async with at_a_terminal(command, *more) as terminal:
        await terminal.shows(f"passphrase of {key}: ")
        terminal.type("a b c\n")
        result = await terminal.ends()
    assert result.status == 0, result.out
    assert "a b c" not in result.out
    assert place.stub.requests[-1] == "logout"


def _encrypt(key: Path, file: Path, passphrase: bytes) -> None:
    loaded = serialization.load_pem_private_key(key.read_bytes(), None)
    protection = serialization.BestAvailableEncryption(passphrase)
    file.write_bytes(
        loaded.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection
        )
    )


async def test_a_place_for_the_summary_that_does_not_exist_is_said_at_the_beginning(
    place: Place, command: list[str], tmp_path: Path
) -> None:
    result = await run(command, "-mode", "1", "--json", str(tmp_path / "none" / "summary.json"))
    assert result.status == 2
    assert "there is no directory" in result.err
    assert place.stub.requests == []


async def test_the_version_is_told(command: list[str]) -> None:
    result = await run(command[:3], "--version")
    assert result.out.startswith("smartgrid-client, version ")


async def test_a_restarted_meter_sends_the_same_batches(
    place: Place, meter: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "readings.csv"
    file.write_text("\n".join(plain_lines(generate(DAY * 20_000, DAY * 20_000 + 7200, "seed"))))
    more = ["--readings", str(file), "--frequency", "0"]
    assert (await run(meter, *more)).status == 0
    again = await run(meter, *more)
    assert "0 readings stored in 2 batches; 480 were stored before" in again.out
    assert len(place.stub.batches) == 2


async def test_a_customer_draws_a_chart_and_a_picture(
    place: Place, command: list[str], tmp_path: Path
) -> None:
    place.stub.batches.append([list(each) for each in generate(DAY, 2 * DAY, "seed")])
    png = tmp_path / "power.png"
    result = await run(command, "--mode", "2", "--chart", "--png", str(png), "--bucket", "1h")
    assert result.status == 0, result.err
    assert "Average power per hour, customer-0001, 2 Jan 1970" in result.out
    assert "time (UTC)" in result.out
    assert png.read_bytes().startswith(b"\x89PNG")
    assert place.stub.requests == ["login", "query-avg", "query-avg", "logout"]


async def test_an_empty_period_has_no_chart_but_a_sentence(
    place: Place, command: list[str]
) -> None:
    result = await run(command, "--mode", "2", "--chart", "--metric", "tension")
    assert result.status == 0, result.err
    assert "no tension readings in the period" in result.out
    assert place.stub.tokens == set()


async def test_requests_that_failed_for_good_are_exit_status_1(
    place: Place, meter: list[str]
) -> None:
    place.stub.next_time("long-write", Fault.NONSENSE)
    result = await run(meter, "--duration", "0.2", "--frequency", "0.2")
    assert result.status == 1
    assert "FAILED unexpected_answer" in result.out
    assert place.stub.tokens == set()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_ctrl_c_logs_out(
    place: Place, command: list[str], number: signal.Signals, status: int
) -> None:
    async with running(command, "--mode", "2", "--duration", "600") as process:
        await eventually(lambda: len(place.stub.requests) >= 2, "the session has begun")
        process.send_signal(number)
        result = await ended(process)
    assert result.status == status, result.err
    assert place.stub.requests[-1] == "logout"
    assert place.stub.tokens == set()
    assert "interrupted" in result.out


async def test_ctrl_c_during_a_request_without_an_answer_still_logs_out(
    place: Place, command: list[str]
) -> None:
    place.stub.next_time("query-avg", Fault.SILENCE)
    async with running(command, "--mode", "2", "--writeRatio", "0") as process:
        await eventually(lambda: "query-avg" in place.stub.requests, "a request waits")
        process.send_signal(signal.SIGINT)
        result = await ended(process)
    assert result.status == 130
    assert place.stub.requests[-1] == "logout"


async def test_a_wait_for_a_server_is_said(command: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connects, and never answers
        port = str(silent.getsockname()[1])
        async with running(command, "--mode", "2", "--port", port) as process:
            assert process.stderr is not None
            async with asyncio.timeout(DEADLINE):
                await process.stderr.readuntil(b"waiting for a server: ")
            process.send_signal(signal.SIGINT)
            assert (await ended(process)).status == 130


async def test_ctrl_c_twice_leaves_at_once(place: Place, command: list[str]) -> None:
    place.stub.next_time("query-avg", Fault.SILENCE)
    place.stub.next_time("logout", Fault.SILENCE)
    async with running(command, "--mode", "2", "--writeRatio", "0") as process:
        await eventually(lambda: "query-avg" in place.stub.requests, "a request waits")
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        async with asyncio.timeout(DEADLINE):
            await process.stderr.readuntil(b"LOGOUT; Ctrl-C again leaves at once\n")
        process.send_signal(signal.SIGINT)
        result = await ended(process)
    assert result.status == 130


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--mode", "3"], "expected one of"),
        (["--mode", "1", "--chart"], "charts are for customers"),
        (["--mode", "2", "--start", "10", "--end", "10"], "--start must be before --end"),
        (["--mode", "2", "--duration", "soon"], "expected seconds"),
        (["--mode", "2", "--sni", "Not A Label"], "DNS label"),
        (["--mode", "2", "--keydir", "README-which-is-not-there"], "does not exist"),
        (["--mode", "1", "--readings", "pyproject.toml"], "line 1: expected"),
        (["--mode", "2", "--server", "https://127.0.0.1"], "without https://"),
        (["--mode", "2", "--server", "a..b"], "expected a host's name"),
        (["--mode", "2", "--cert", "pyproject.toml"], "pyproject.toml holds no certificate"),
        (["--mode", "2", "--key", "pyproject.toml"], "pyproject.toml holds no private key"),
        (["--mode", "2", "--ca", "README.md"], "README.md holds no certificates"),
        (["--mode", "2", "--keydir", "pyproject.toml"], "does not hold 64 hex digits"),
    ],
)
async def test_wrong_usage_is_exit_status_2_and_says_what_is_expected(
    place: Place, command: list[str], more: list[str], said: str
) -> None:
    result = await run(command, *more)
    assert result.status == 2
    assert said in result.err
    assert "Traceback" not in result.err
    assert place.stub.requests == []
