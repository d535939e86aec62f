"""Sessions through the whole platform: real HAProxy, real servers, real databases."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import pytest

from smartgrid_client.api import SmartGridClient
from smartgrid_client.batches import Batch
from smartgrid_client.errors import RefusedError
from smartgrid_client.messages import Alarm, Login, Metric
from smartgrid_client.readings import Reading
from standby.identity import Role
from tests.support.platform import RunningPlatform, User, platform
from tests.support.waiting import eventually

_TUTORIAL: Final = Path(__file__).parents[2] / "docs" / "tutorial" / "first-steps.md"
_BIN: Final = Path(sys.executable).parent
ROWS = tuple(Reading(1_170_288_000 + 15 * n, 300.0 + n, 170.0, 240.0) for n in range(240))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    with platform(tmp_path_factory.mktemp("sessions"), "--pool-size", "2") as started:
        yield started


@contextlib.asynccontextmanager
async def _session(
    running: RunningPlatform, user: User
) -> AsyncIterator[tuple[SmartGridClient, Login]]:
    """A client that is logged in while the context lasts."""
    async with running.client(user) as client:
        login = await client.login(user.key)
        yield client, login
        await client.logout()


def _curl(running: RunningPlatform, user: User, path: str, *arguments: str) -> dict[str, object]:
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--max-time", "30",
         "--connect-to", f"{user.uid}:443:127.0.0.1:{running.port}",
         "--cacert", user.tls.authorities, "--cert", user.tls.certificate, "--key", user.tls.key,
         f"https://{user.uid}{path}", *arguments],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def _printed(title: str) -> str:
    """The commands of the tutorial's section."""
    section = _TUTORIAL.read_text().partition(title)[2]
    return section.partition("```sh\n")[2].partition("```")[0]


async def test_a_pool_of_two_serves_twenty_users_one_after_another_each_on_a_new_process(
    running: RunningPlatform,
) -> None:
    users = running.enroll_many([f"user-{number}" for number in range(20)])
    boots = []
    for number, user in enumerate(users):
        async with _session(running, user) as (client, login):
            boots.append(login.boot_id)
            await client.write([Alarm(Metric.POWER, float(number))])
            assert [each.threshold for each in await client.alarms()] == [float(number)]
    assert len(set(boots)) == len(users)


async def test_data_survives_its_server_and_generations_grow(running: RunningPlatform) -> None:
    user = running.enroll("carol")
    meter = running.enroll("carol", Role.METER, db_key=user.directory / "db.key")
    async with _session(running, meter) as (client, first):
        assert (await client.long_write(Batch(ROWS))).stored == len(ROWS)
    async with _session(running, meter) as (client, second):
        assert (await client.long_write(Batch(ROWS))).known
    async with _session(running, user) as (client, third):
        assert (await client.query_avg(Metric.POWER)).count == len(ROWS)
    assert first.generation < second.generation < third.generation
    assert len({first.boot_id, second.boot_id, third.boot_id}) == 3


async def test_meter_and_customer_share_one_server(running: RunningPlatform) -> None:
    user = running.enroll("dave")
    meter = running.enroll("dave", Role.METER, db_key=user.directory / "db.key")
    async with (
        _session(running, meter) as (pushing, of_meter),
        _session(running, user) as (asking, of_user),
    ):
        assert of_meter.boot_id == of_user.boot_id
        await pushing.long_write(Batch(ROWS))
        assert (await asking.query_avg(Metric.TENSION)).average == 240.0
        with pytest.raises(RefusedError):
            await pushing.query_avg(Metric.TENSION)
    await eventually(
        lambda: running.status()["counts"]["READY"] == 2, "the pool is full again", deadline=20
    )


def test_a_session_by_curl_and_openssl_as_the_tutorial_prints_it(running: RunningPlatform) -> None:
    """And with more of the same calls before it ends."""
    user = running.enroll("alice")
    place = running.users_dir / "tutorial"
    place.mkdir()
    shutil.copytree(user.directory, place / "alice")
    shell = _printed("A session with nothing but curl and openssl")
    last = 'alice -H "Authorization: Bearer $token" -X POST https://alice/v1/logout\n'
    assert shell.endswith(last)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"{shell.removesuffix(last)}\necho $token"],
        cwd=place,
        env=os.environ
        | {
            "STANDBY_STATE_DIR": str(running.state_dir),
            "PATH": f"{_BIN}:{os.environ['PATH']}",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    averages, token = done.stdout.split()
    assert json.loads(averages)["count"] == 0
    login = {"token": token}
    key = (user.directory / "db.key").read_text()
    bearer = ("--header", f"Authorization: Bearer {login['token']}")
    alarms = json.dumps({"alarms": [{"metric": "power", "threshold": 3000}]})
    assert _curl(running, user, "/v1/write", *bearer, "--data", alarms) == {"stored": 1}
    assert _curl(running, user, "/v1/query-avg?metric=power", *bearer)["average"] is None
    again = _curl(running, user, "/v1/login", "--data", json.dumps({"key": key}))  # joins
    for each in (login, again):
        bearer = ("--header", f"Authorization: Bearer {each['token']}")
        _curl(running, user, "/v1/logout", *bearer, "--request", "POST")
    error = _curl(running, user, "/v1/alarms", *bearer)
    assert "error" in error


def test_the_status_names_users_states_and_boot_ids(running: RunningPlatform) -> None:
    status = running.status()
    assert {each["state"] for each in status["instances"]} <= {
        "READY",
        "STARTING",
        "STOPPED",
        "RESERVED",
    }
    assert all(len(each["boot_id"]) == 16 for each in status["instances"])
    assert sum(status["counts"].values()) == len(status["instances"]) == 2
