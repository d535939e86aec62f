"""A server works within the limits that its wrapper sets, and says clearly what it cannot do within them."""

import asyncio
import contextlib
import resource
import shutil
import socket
from pathlib import Path
from typing import Final

from smartgrid_server import database
from smartgrid_server.averaging import Period
from smartgrid_server.database import Database
from smartgrid_server.errors import NotEnoughMemoryError
from smartgrid_server.freshness import found_in
from smartgrid_server.messages import LAST_SECOND, Alarm, Metric
from standby.hardening import Places, Plan, harden
from standby.hardening.libraries import library_places
from tests.integration.standby import in_child
from tests.support import wrapper
from tests.support.certificates import Certificates
from tests.support.smartgrid import Client, files_of, new_volume, running, secret, volumes

CROWD: Final = 800
"""Connections without LOGIN that the load balancer lets be there at once: 100 a second, for 8 seconds."""
_DEADLINE: Final = 60.0
_MEBI: Final = 2**20
_ROWS: Final = 200_000
OF_VERSION_2: Final = (
    Path(__file__).parents[2] / "unit" / "smartgrid_server" / "databases" / "version-2.db"
)
ALARMS_OF_VERSION_2: Final = 2
_JOURNAL: Final = f"{database.FILE_NAME}-wal"
FILES: Final = [database.FILE_NAME, _JOURNAL]
"""Those of a volume that its wrapper gives to a server, by `app.toml`."""


def session_with_fixed_files(volume: str) -> int:
    """In the child, which can make and remove no file: two sessions; the alarms that there are at last."""
    file = Path(volume) / database.FILE_NAME
    harden(Plan(places=Places(read_only=library_places(), changed=(Path(volume),))))
    for _ in range(2):
        assert found_in(file) is not None
        with contextlib.closing(Database.open(file, secret())) as db:
            db.write_alarms([Alarm(metric=Metric.POWER, threshold=1.0)])
    assert found_in(file) is not None
    with contextlib.closing(Database.open(file, secret())) as db:
        return len(db.alarms(0, 10))


def test_sessions_need_no_other_files_than_those_that_are_there(tmp_path: Path) -> None:
    volume = new_volume(tmp_path, "alice")
    assert in_child(session_with_fixed_files, volume=str(volume)) == 2
    assert files_of(volume) == FILES


def test_nor_does_bringing_an_outdated_database_up_to_date(tmp_path: Path) -> None:
    volume = new_volume(tmp_path, "alice")
    shutil.copy(OF_VERSION_2, volume / database.FILE_NAME)
    assert in_child(session_with_fixed_files, volume=str(volume)) == 2 + ALARMS_OF_VERSION_2
    assert files_of(volume) == FILES


def question_that_takes_much_memory(volume: str) -> str:
    """In the child: what is said to it, and what a smaller one finds after it."""
    file = Path(volume) / database.FILE_NAME
    with contextlib.closing(Database.open(file, secret())) as db:
        db.import_rows(((second, 1.0, 1.0, 1.0) for second in range(_ROWS)), ())
        most = _private_memory() + 4 * _MEBI
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
        try:
            db.averages(Metric.POWER, Period(0, LAST_SECOND, bucket=100_000), 10_000)
        except NotEnoughMemoryError as error:
            found = db.averages(Metric.POWER, Period(0, 100, bucket=50), 10_000)
            return f"{error.code}: {error}; {len(found.buckets)} buckets"
    return "it went"


def _private_memory() -> int:
    (line,) = [
        each for each in Path("/proc/self/status").read_text().splitlines() if "VmData" in each
    ]
    return int(line.split()[1]) * 1024


def test_a_question_that_takes_too_much_memory_is_refused_with_what_to_ask_instead(
    tmp_path: Path,
) -> None:
    """Averages of whole hours take next to none."""
    volume = new_volume(tmp_path, "alice")
    said = in_child(question_that_takes_much_memory, volume=str(volume))
    assert said.startswith("not_enough_memory: ")
    assert "whole hours" in said
    assert said.endswith("; 2 buckets")


async def test_a_crowd_that_does_not_log_in_leaves_room_for_the_user(
    certificates: Certificates, tmp_path: Path
) -> None:
    """Half-open connections are the largest that strangers can have; they meet none of the server's limits."""
    limits = wrapper.settings(tmp_path)
    volume = new_volume(tmp_path, "alice")
    async with (
        running(certificates, volumes(alice=volume), login_deadline=10 * _DEADLINE) as server,
        contextlib.AsyncExitStack() as crowd,
    ):
        for kind, most in (
            (resource.RLIMIT_DATA, limits.server_memory),
            (resource.RLIMIT_NOFILE, limits.server_descriptors),
        ):
            resource.prlimit(server.process.pid, kind, (most, most))
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_DEADLINE):
            for _ in range(CROWD):
                stranger = crowd.enter_context(socket.socket())
                stranger.setblocking(False)
                await loop.sock_connect(stranger, ("127.0.0.1", server.port))
                await loop.sock_sendall(stranger, b"\x16\x03\x01")  # of a TLS record
        async with Client(certificates, server) as alice:
            assert (await alice.login()).status == 200
            assert (await alice.post("logout")).status == 200
