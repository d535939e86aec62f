"""Who can open a user's files, with servers of two uids: whoever has the claim, and only as long as it lasts."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest

from app_wrapper.server_uids import FIRST
from app_wrapper.volumes.hostpath import HostPathVolumes
from standby.hardening import Layer, Outcome, Places, Plan, harden, narrow
from standby.ids import Uid
from standby.lines import Volume
from tests.integration.standby import in_child
from tests.support.volume_contract import ANNA, BERT, holder

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can change its uid")
A, B = FIRST, FIRST + 1


@pytest.fixture
def volumes() -> Iterator[HostPathVolumes]:
    """Anna's and bert's, where strangers could come if modes let them; below pytest's directories they could not."""
    with TemporaryDirectory(prefix="own-uid-") as name:
        Path(name).chmod(0o711)
        provider = HostPathVolumes(Path(name) / "volumes")
        for uid in (ANNA, BERT):
            (provider.create(uid) / "smartgrid.db").write_text("encrypted")
        yield provider
        provider.close()


def _claim(volumes: HostPathVolumes, user: Uid, server_uid: int) -> Volume:
    return volumes.claim(user, msgspec.structs.replace(holder(), server_uid=server_uid))


def use(uid: int, places: list[str]) -> list[str]:
    """In the child: what a server of that uid can do in each of the directories."""
    (report,) = harden(Plan(layers=frozenset({Layer.OWN_UID}), run_as=uid)).layers
    assert report.outcome is Outcome.APPLIED, report.text
    return [_use(Path(place)) for place in places]


def _use(place: Path) -> str:
    try:
        with (place / "smartgrid.db").open("r+") as file:
            said = file.read()
        (place / "smartgrid.db-wal").write_text("journal")
        (place / "smartgrid.db-wal").replace(place / "smartgrid.db-shm")
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return said


def _used(uid: int, *places: Path) -> list[str]:
    told: list[str] = in_child(use, uid=uid, places=[str(each) for each in places])
    return told


def test_rights_follow_the_claim(volumes: HostPathVolumes) -> None:
    anna, bert = volumes.data(ANNA), volumes.data(BERT)
    first, _ = _claim(volumes, ANNA, A), _claim(volumes, BERT, B)
    assert _used(A, anna, bert) == ["encrypted", "EACCES"]
    assert _used(B, anna, bert) == ["EACCES", "encrypted"]
    volumes.release(ANNA, first.generation)
    assert _used(A, anna) == ["EACCES"]
    _claim(volumes, ANNA, B)
    assert _used(B, anna) == ["encrypted"]
    assert _used(A, anna) == ["EACCES"]


def test_nobody_has_them_after_the_wrapper_was_killed_and_has_returned(
    volumes: HostPathVolumes,
) -> None:
    _claim(volumes, ANNA, A)
    _used(A, volumes.data(ANNA))
    volumes.close()
    assert volumes.recover(holder().wrapper_id) == [ANNA]
    assert _used(A, volumes.data(ANNA)) == ["EACCES"]
    _claim(volumes, ANNA, B)
    assert _used(B, volumes.data(ANNA)) == ["encrypted"]


def peep(uid: int, volume: str) -> dict[str, str]:
    """In the child: what the server learns of how its own volume is kept, and of the others."""
    harden(Plan(layers=frozenset({Layer.OWN_UID}), run_as=uid))
    top = Path(volume).parent
    tries: dict[str, Any] = {
        "reads the record": (top / "claim").read_bytes,
        "changes the record": lambda: (top / "claim").write_bytes(b""),
        "removes the record": (top / "claim").unlink,
        "moves its directory": lambda: Path(volume).rename(top / "other"),
        "lists its own volume": lambda: list(top.iterdir()),
        "lists all volumes": lambda: list(top.parent.iterdir()),
        "makes a volume": (top.parent / "mallory").mkdir,
    }
    return {name: _refused(attempt) for name, attempt in tries.items()}


def _refused(attempt: Any) -> str:
    try:
        attempt()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "done"


def test_a_server_cannot_touch_its_claim_or_see_who_the_others_are(
    volumes: HostPathVolumes,
) -> None:
    told = in_child(peep, uid=A, volume=_claim(volumes, ANNA, A).path)
    assert set(told.values()) == {"EACCES"}


def narrow_to(uid: int, root: str, volume: str) -> list[str]:
    """In the child: a server's life: all volumes' root first, then its own volume."""
    report = harden(Plan(places=Places(read_write=(Path(root),)), run_as=uid))
    lacking = [each.layer for each in report.missing]
    return [*lacking, narrow(Places(read_write=(Path(volume),))).outcome, _use(Path(volume))]


def test_a_hardened_server_finds_its_volume_by_name(volumes: HostPathVolumes) -> None:
    data = _claim(volumes, ANNA, A).path
    told = in_child(narrow_to, uid=A, root=str(Path(data).parent.parent), volume=data)
    if Layer.LANDLOCK in told:
        pytest.skip("this kernel lacks landlock")
    assert told[-2:] in (["applied", "encrypted"], ["partly", "encrypted"])
