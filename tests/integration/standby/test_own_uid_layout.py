"""What of a platform's files strangers come to, when it is passable for servers with uids of their own."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest

from app_wrapper import ownership, server_uids
from app_wrapper.ownership import Needs
from app_wrapper.server_uids import FIRST, ServerUids
from standby.identity import Role
from standby.ids import Uid
from standby_cli import enrollment
from standby_cli.authorities import Authorities
from standby_cli.enrollment import Request
from standby_cli.layout import Layout

AS_ROOT: Final = os.geteuid() == 0
WRAPPER: Final = "w1"
USERS: Final = (Uid("anna"), Uid("bert"))
_PRIVATE: Final = (b"PRIVATE KEY", b"standby sealed")
"""How files begin, or what they hold, that only root may read."""


class Made:
    """A platform with all its authorities and two users."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.layout = Layout(top / "state")
        self.users = top / "users"

    async def fill(self) -> None:
        request = Request(USERS, "customer", self.users, None, None)
        await enrollment.enroll(request, self.layout, lambda: None)
        authorities = Authorities(self.layout)
        authorities.renew_issuer(WRAPPER, None)
        authorities.part(Role.WRAPPER, WRAPPER)
        authorities.part(Role.OPERATOR, "local")
        self.layout.make_wrapper(WRAPPER)

    def everything(self) -> Iterator[Path]:
        return self.top.rglob("*")

    def needs(self) -> Needs:
        slots = self.layout.wrapper(WRAPPER) / "slots"
        server_uids.make_passage(slots)
        certificate = Authorities(self.layout).users_root
        return Needs(volumes=self.layout.volumes, slots=slots, named=(certificate,))


@pytest.fixture
def reachable() -> Iterator[Path]:
    """Where strangers could come if modes let them; below pytest's directories they could not."""
    with TemporaryDirectory(prefix="own-uid-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture
async def made(reachable: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    monkeypatch.delenv("STANDBY_SEAL_KEY", raising=False)
    platform = Made(reachable)
    await platform.fill()
    return platform


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def _readable(directory: Path) -> Iterator[Path]:
    """Files that strangers can read, if they know the names."""
    for each in directory.iterdir():
        if each.is_dir() and _mode(each) & stat.S_IXOTH:
            yield from _readable(each)
        elif each.is_file() and _mode(each) & (stat.S_IROTH | stat.S_IWOTH):
            yield each


def test_every_private_key_is_its_owners_alone(made: Made) -> None:
    named = [
        each
        for each in made.everything()
        if each.name.endswith(("-key.pem", ".seal-key", "db.key"))
    ]
    assert len(named) >= 4 + 2 + 1 + 2 * len(USERS)
    holding = [
        each
        for each in made.everything()
        if each.is_file() and any(text in each.read_bytes() for text in _PRIVATE)
    ]
    assert holding
    assert {each.name: _mode(each) for each in (*named, *holding) if _mode(each) != 0o600} == {}


def test_every_users_directory_is_closed(made: Made) -> None:
    for uid in USERS:
        volume = made.layout.volumes / uid
        for each in (made.users / uid, volume, volume / "data"):
            assert (each, _mode(each)) == (each, 0o700)


def test_strangers_can_read_certificates_and_nothing_else(made: Made) -> None:
    found = sorted(each for each in _readable(made.layout.root) if each.stat().st_size)
    pki = made.layout.pki
    public = sorted(each for each in pki.glob("*.pem") if not each.stem.endswith("-key"))
    assert found == (public if AS_ROOT else [])


def test_only_the_way_to_what_servers_need_is_a_passage(made: Made) -> None:
    layout = made.layout
    passages = {each for each in made.everything() if each.is_dir() and _mode(each) != 0o700}
    ways = {layout.root, layout.pki, layout.volumes, layout.wrapper(WRAPPER).parent}
    assert passages - {made.users} == ({*ways, layout.wrapper(WRAPPER)} if AS_ROOT else set())
    assert {_mode(each) for each in passages - {made.users}} <= {0o711}


@pytest.mark.skipif(not AS_ROOT, reason="only root's servers have uids of their own")
def test_servers_of_a_made_platform_can_have_uids(made: Made) -> None:
    assert ownership.for_servers(FIRST, 2000, made.needs()) == ServerUids(FIRST)
    made.layout.root.chmod(0o700)
    assert ownership.for_servers(FIRST, 2000, made.needs()) is None


@pytest.mark.skipif(not AS_ROOT, reason="only root's servers have uids of their own")
def test_a_layout_of_before_becomes_passable(made: Made) -> None:
    for each in (made.layout.root, made.layout.pki, made.layout.volumes):
        each.chmod(0o700)
    assert ownership.obstacle(FIRST, 2000, made.needs()) is not None
    made.layout.make()
    assert ownership.obstacle(FIRST, 2000, made.needs()) is None
