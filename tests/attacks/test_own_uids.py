"""A platform that root started: every server has a uid of its own, and its user's data with it for the session only."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from standby.hardening import Layer, Outcome
from tests.attacks import platforms
from tests.attacks.installation import Installation
from tests.attacks.platforms import Platform
from tests.support.waiting import eventually_sync

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give uids")


@pytest.fixture(scope="module")
def roots(installation: Installation, fork_policy: Path) -> Iterator[Platform]:
    with platforms.running(installation, policy=fork_policy) as platform:
        yield platform


def _real_uid(pid: int) -> int:
    """Also of a process whose files in /proc are root's, because it is not dumpable."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = (each for each in lines if each.startswith("Uid:"))
    return int(line.split()[1])


def test_every_layer_protects_every_server(roots: Platform) -> None:
    roots.settled()
    for each in roots.status()["instances"]:
        assert set(each["hardening"]) == {layer.value for layer in Layer}
        assert each["hardening"][Layer.OWN_UID] == Outcome.APPLIED


async def test_a_users_data_is_his_servers_while_it_serves_him_and_nobody_elses(
    roots: Platform,
) -> None:
    roots.settled()
    anna, bert = roots.enroll("anna"), roots.enroll("bert")
    async with roots.client(anna) as hers, roots.client(bert) as his:
        await hers.login(anna.key)
        await his.login(bert.key)
        data = [roots.state_dir / "volumes" / uid / "data" for uid in ("anna", "bert")]
        uids = [_real_uid(roots.server_of(uid)) for uid in ("anna", "bert")]
        assert len({0, *uids}) == 3
        for directory, uid in zip(data, uids, strict=True):
            assert {each.stat().st_uid for each in directory.iterdir()} == {uid}
            assert {each.stat().st_mode & 0o077 for each in directory.iterdir()} == {0}
            assert (directory.stat().st_uid, directory.stat().st_gid) == (0, uid)
            assert directory.stat().st_mode & 0o7777 == 0o750, "it makes and removes none"
        await hers.logout()
        await his.logout()
    eventually_sync(lambda: all(_is_roots(each) for each in data), "the volumes are root's again")


def _is_roots(data: Path) -> bool:
    found = [each.stat() for each in (data, *data.iterdir())]
    return {(each.st_uid, each.st_mode & 0o077) for each in found} == {(0, 0)}
