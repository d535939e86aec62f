"""`standby enroll`: keys that exist once, certificates that name one user, databases that appear whole."""

import sqlite3
import stat
from pathlib import Path

import pytest

import smartgrid_client
from smartgrid_client.readings import sample_readings
from smartgrid_server.averaging import Period
from smartgrid_server.database import Database
from smartgrid_server.messages import Metric
from standby.identity import Role
from standby.secret import Secret
from tests.support.platform import RunningPlatform, User, command


@pytest.fixture
def offline(tmp_path: Path) -> RunningPlatform:
    """A state directory without a running platform."""
    return RunningPlatform(tmp_path / "state", tmp_path / "users")


def _enroll(
    running: RunningPlatform, uids: list[str], role: Role = Role.CUSTOMER, *more: str | Path
) -> list[User]:
    """By the command."""
    several = len(uids) > 1
    out = running.users_dir / (f"many-{role}" if several else f"{uids[0]}-{role}")
    command("enroll", *uids, "--role", role, "--state-dir", running.state_dir, "--out", out, *more)
    return [User(uid, role, out / uid if several else out) for uid in uids]


def _database(running: RunningPlatform, uid: str) -> Path:
    return running.state_dir / "volumes" / uid / "data" / "smartgrid.db"


def test_the_key_is_written_once_and_is_nowhere_else(offline: RunningPlatform) -> None:
    (user,) = _enroll(offline, ["alice"])
    key = (user.directory / "db.key").read_text()
    assert len(bytes.fromhex(key)) == 32
    for path in offline.state_dir.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert key.encode() not in content
            assert bytes.fromhex(key) not in content
    for name in ("db.key", "client-key.pem"):
        assert stat.S_IMODE((user.directory / name).stat().st_mode) == 0o600


def test_a_meter_of_an_existing_customer_needs_the_customers_key(offline: RunningPlatform) -> None:
    (user,) = _enroll(offline, ["alice"])
    arguments: list[str | Path] = [
        "enroll",
        "alice",
        "--role",
        "meter",
        "--state-dir",
        offline.state_dir,
        "--out",
    ]
    refused = command(*arguments, offline.users_dir / "m", check=False)
    assert refused.returncode == 6
    assert "--db-key" in refused.stderr
    (meter,) = _enroll(offline, ["alice"], Role.METER, "--db-key", user.directory / "db.key")
    assert meter.key == user.key


def test_a_key_that_does_not_fit_is_refused(offline: RunningPlatform, tmp_path: Path) -> None:
    _enroll(offline, ["alice"])
    (tmp_path / "wrong").write_text("00" * 32)
    done = command(
        "enroll", "alice", "--role", "meter", "--state-dir", offline.state_dir,
        "--out", tmp_path / "m", "--db-key", tmp_path / "wrong", check=False,
    )  # fmt: skip
    assert done.returncode == 6
    assert "does not open" in done.stderr
    assert "00000000" not in done.stderr


def test_a_new_database_is_filled_from_a_csv_file(offline: RunningPlatform) -> None:
    sample = Path(smartgrid_client.__file__).parent / "sample" / "household_power_2007-02.txt"
    (user,) = _enroll(offline, ["alice"], Role.CUSTOMER, "--import", sample)
    assert _count(offline, user.uid, user.key) == len(list(sample_readings()))


def test_a_new_database_is_filled_from_a_plain_sqlite_file(
    offline: RunningPlatform, tmp_path: Path
) -> None:
    plain = sqlite3.connect(tmp_path / "plain.db")
    plain.execute(
        "CREATE TABLE metrics (id INTEGER PRIMARY KEY, timestamp, power, impedance, tension)"
    )
    plain.execute(
        "INSERT INTO metrics (timestamp, power, impedance, tension) VALUES (60, 1.0, 2.0, 3.0)"
    )
    plain.commit()
    plain.close()
    (user,) = _enroll(offline, ["alice"], Role.CUSTOMER, "--import", tmp_path / "plain.db")
    assert _count(offline, user.uid, user.key) == 1


def test_a_file_that_cannot_be_imported_leaves_no_user(
    offline: RunningPlatform, tmp_path: Path
) -> None:
    (tmp_path / "bad.csv").write_text("timestamp,power,impedance,tension\n1,2,3,4\n5,six,7,8\n")
    done = command(
        "enroll", "alice", "--role", "customer", "--state-dir", offline.state_dir,
        "--out", tmp_path / "a", "--import", tmp_path / "bad.csv", check=False,
    )  # fmt: skip
    assert done.returncode == 6
    assert "line 3" in done.stderr
    assert not (offline.state_dir / "volumes" / "alice").exists()


def test_a_key_that_is_there_is_not_replaced_by_another(
    offline: RunningPlatform, tmp_path: Path
) -> None:
    (user,) = _enroll(offline, ["alice"])
    done = command(
        "enroll", "alice", "--role", "customer", "--state-dir", tmp_path / "other",
        "--out", user.directory, check=False,
    )  # fmt: skip
    assert done.returncode == 6
    assert "only copy" in done.stderr
    assert not (tmp_path / "other" / "volumes" / "alice").exists()
    assert _count(offline, "alice", user.key) == 0


def test_an_enrollment_removes_what_a_killed_one_has_left(offline: RunningPlatform) -> None:
    _enroll(offline, ["alice"])
    for left in (".enrolling-x", "volumes/.new-x"):
        (offline.state_dir / left).mkdir()
    _enroll(offline, ["bob"])
    hidden = {each for each in offline.state_dir.rglob(".*") if each.suffix != ".lock"}
    assert not {each for each in hidden if each.name != ".lock"}


def test_many_users_are_enrolled_in_one_call(offline: RunningPlatform) -> None:
    names = [f"user-{number}" for number in range(50)]
    users = _enroll(offline, names)
    assert len({user.key.reveal().hex() for user in users}) == 50
    meters = _enroll(offline, names, Role.METER, "--db-key", offline.users_dir / "many-customer")
    assert [each.key for each in meters] == [each.key for each in users]


@pytest.mark.parametrize("uid", ["a_b", "-a", "a.b", "../alice", "a" * 64])
def test_a_name_that_is_no_dns_label_is_refused(offline: RunningPlatform, uid: str) -> None:
    done = command(
        "enroll", "--role", "customer", "--state-dir", offline.state_dir, "--", uid, check=False
    )
    assert done.returncode == 2
    assert "DNS label" in done.stderr


def _count(running: RunningPlatform, uid: str, key: Secret) -> int:
    database = Database.open(_database(running, uid), key)
    try:
        return database.averages(Metric.POWER, Period(0, 2**40), 1).count
    finally:
        database.close()
