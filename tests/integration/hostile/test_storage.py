"""A user's volume that is full, cannot be written, or holds a damaged file: what the client is told, and what stays."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from smartgrid_server.database import FILE_NAME
from standby.identity import Role
from standby_cli.errors import EnrollError
from standby_cli.main import cli
from tests.support.certificates import Certificates
from tests.support.smartgrid import Client, kept, new_volume, running, stored, volumes

_ROWS = [[1_700_000_000 + 15 * number, 230.5, 0.5, 231.0] for number in range(2880)]
_DAY = 86_400


def _batch(number: int) -> dict[str, object]:
    rows = [[row[0] + number * _DAY, *row[1:]] for row in _ROWS]
    return {"batch_id": f"day-{number}", "rows": rows}


@contextlib.contextmanager
def _mounted(directory: Path, megabytes: int) -> Iterator[Path]:
    """A file system of that size, in memory."""
    directory.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(directory)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"mounting a small file system is not allowed here: {done.stderr.strip()}")
    try:
        yield directory
    finally:
        subprocess.run(["umount", str(directory)], check=True)


def _remount(directory: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(directory)], check=True)


async def test_a_full_disk_is_told_loses_nothing_and_can_be_mended(
    certificates: Certificates, tmp_path: Path
) -> None:
    with _mounted(tmp_path / "disk", 2) as disk:
        volume = new_volume(disk, "alice")
        async with (
            running(certificates, volumes(alice=volume)) as server,
            Client(certificates, server, role=Role.METER) as meter,
            Client(certificates, server) as customer,
        ):
            await meter.login()
            await customer.login()
            acknowledged = 0
            while (reply := await meter.post("long-write", _batch(acknowledged))).status == 200:
                acknowledged += 1
                assert acknowledged < 100
            assert (reply.status, reply.code) == (507, "storage_full")
            assert acknowledged > 0
            period = f"query-avg?metric=power&start=0&end={1_700_000_000 + 100 * _DAY}"
            assert (await customer.get(period)).body["count"] == acknowledged * len(_ROWS)

            _remount(disk, "size=64m")
            reply = await meter.post("long-write", _batch(acknowledged))
            assert reply.body == kept(stored=len(_ROWS))
            reply = await meter.post("long-write", _batch(0))
            assert reply.body == kept(unchanged=len(_ROWS))
            await meter.logout()
            assert (await customer.logout()).body["ended"] is True
            assert await server.ends() == 0
        assert len(stored(volume, "metrics")) == (acknowledged + 1) * len(_ROWS)


async def test_a_volume_that_cannot_be_written_is_told_and_mended(
    certificates: Certificates, tmp_path: Path
) -> None:
    with _mounted(tmp_path / "disk", 16) as disk:
        volume = new_volume(disk, "alice")
        _remount(disk, "ro")
        async with (
            running(certificates, volumes(alice=volume)) as server,
            Client(certificates, server) as alice,
        ):
            refusal = await alice.login()
            assert (refusal.status, refusal.code) == (500, "storage_failed")
            await server.says("LOGOUT storage_failed")
            assert await server.ends() == 0
        _remount(disk, "rw")
        async with (
            running(certificates, volumes(alice=volume)) as server,
            Client(certificates, server) as alice,
        ):
            assert (await alice.login()).status == 200


def _cut_off(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 1000)


def _empty(file: Path) -> None:
    os.truncate(file, 0)


def _first_page(file: Path) -> None:
    _overwrite(file, 100)


def _overwrite(file: Path, position: int) -> None:
    with file.open("r+b") as opened:
        opened.seek(position)
        opened.write(os.urandom(64))


def _directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (_cut_off, "database_damaged"),
        (_empty, "database_damaged"),
        (_first_page, "database_damaged"),
        (_directory, "database_damaged"),
        (Path.unlink, "database_missing"),
    ],
    ids=["cut off", "empty", "first page", "a directory", "gone"],
)
async def test_a_spoiled_file_ends_the_session_with_its_code_and_a_restored_one_is_whole(
    certificates: Certificates, tmp_path: Path, spoil: Callable[[Path], None], code: str
) -> None:
    volume = new_volume(tmp_path, "alice")
    file = volume / FILE_NAME
    async with (
        running(certificates, volumes(alice=volume)) as server,
        Client(certificates, server, role=Role.METER) as meter,
    ):
        await meter.login()
        assert (await meter.post("long-write", _batch(0))).status == 200
        await meter.logout()
        assert await server.ends() == 0
    backup = shutil.copy(file, tmp_path / "backup")
    spoil(file)
    async with (
        running(certificates, volumes(alice=volume)) as server,
        Client(certificates, server) as alice,
    ):
        refusal = await alice.login()
        assert (refusal.status, refusal.code) == (500, code)
        assert await server.ends() == 0
    if file.is_dir():
        file.rmdir()
    shutil.copy(backup, file)
    assert len(stored(volume, "metrics")) == len(_ROWS)


async def test_a_spoiled_journal_takes_back_no_more_than_what_it_held(
    certificates: Certificates, tmp_path: Path
) -> None:
    """A WAL frame whose checksum does not fit, and all after it, count as never written; that is SQLite's rule."""
    volume = new_volume(tmp_path, "alice")
    async with (
        running(certificates, volumes(alice=volume)) as server,
        Client(certificates, server, role=Role.METER) as meter,
    ):
        await meter.login()
        assert (await meter.post("long-write", _batch(0))).status == 200
        server.process.kill()
        await server.ends()
    journal = volume / f"{FILE_NAME}-wal"
    _overwrite(journal, journal.stat().st_size // 2)
    async with (
        running(certificates, volumes(alice=volume)) as server,
        Client(certificates, server, role=Role.METER) as meter,
    ):
        assert (await meter.login()).status == 200
        reply = await meter.post("long-write", _batch(0))
        assert reply.body == kept(stored=len(_ROWS))
        await meter.logout()
        assert await server.ends() == 0
    assert len(stored(volume, "metrics")) == len(_ROWS)


def test_enrolling_on_a_full_disk_names_the_disk_and_leaves_nothing(tmp_path: Path) -> None:
    with _mounted(tmp_path / "disk", 1) as disk:
        enroll = ["enroll", "--role", "customer", "--state-dir", str(disk / "state")]
        first = CliRunner().invoke(cli, [*enroll, "alice", "--out", str(tmp_path / "alice")])
        assert first.exit_code == 0, first.output
        with contextlib.suppress(OSError), (disk / "rest").open("wb", buffering=0) as rest:
            while True:
                rest.write(bytes(4096))
        refused = CliRunner().invoke(cli, [*enroll, "bob", "--out", str(tmp_path / "bob")])
        assert isinstance(refused.exception, EnrollError)
        assert "request" not in str(refused.exception)
        assert str(disk) in str(refused.exception)
        assert not (tmp_path / "bob").exists()
        (disk / "rest").unlink()
        again = CliRunner().invoke(cli, [*enroll, "bob", "--out", str(tmp_path / "bob")])
        assert again.exit_code == 0, again.output
