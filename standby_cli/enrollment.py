"""Enrolling users: an encrypted database each, a certificate each, and the key that only they have.

Order matters, because the key exists nowhere else afterwards: `db.key` is on disk before the database exists, and the
database appears in the volumes as a whole or not at all. A `db.key` that is there already is never replaced by another
one, because it may be the only copy. Enrolling again with the key makes a new certificate; enrolling again without it
is refused. One enrollment runs at a time, and removes what a killed one has left.
"""

import asyncio
import contextlib
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app_wrapper.volumes import VolumeError
from app_wrapper.volumes.hostpath import HostPathVolumes
from app_wrapper.volumes.hostpath_copies import HostPathCopies
from attestation import policy
from attestation.claims import Root
from attestation.issuing.freshness import FreshnessStore
from attestation.trust_files import POLICY_FILE, ROOT_FILE
from smartgrid_client import profile
from smartgrid_client.profile import Profile
from smartgrid_server import database
from standby import durable, pki
from standby.errors import words
from standby.identity import Identity, Role
from standby.ids import Generation, Uid
from standby.seal import PLAIN
from standby.secret import Secret
from standby_cli import address, importing, kept_policy, running
from standby_cli.authorities import USER_LIFETIME, Authorities
from standby_cli.commands import say
from standby_cli.errors import EnrollError, NotRunningError
from standby_cli.layout import Layout

KEY_BYTES: Final = 32
KEY_FILE: Final = "db.key"
FEW: Final = 3
"""Up to this many users are enrolled without a progress bar."""


@dataclass(frozen=True)
class Request:
    """What `standby enroll` was asked for."""

    uids: tuple[Uid, ...]
    role: str
    out: Path | None
    db_key: Path | None
    source: Path | None
    server: str | None = None
    """Where the user's clients find the platform; None: this machine's."""
    port: int | None = None


async def enroll(request: Request, layout: Layout, step: Callable[[], None]) -> list[Path]:
    """Enroll every user of the request, one after another; returns the directories that were written.

    What was enrolled before an error stays enrolled.

    Raises:
        EnrollError: a key is missing, wrong, or not needed; or a file cannot be used.
        SealError: the platform's own keys cannot be opened.
    """
    layout.make()
    authorities = Authorities(layout)
    if not authorities.users_root.exists() and any(layout.volumes.iterdir()):
        raise EnrollError(
            f"{layout.pki} is gone while users exist; restore it, new roots would fit nobody"
        )
    authorities.make()
    signer = authorities.users()
    written, new = [], []
    with _alone(layout):
        for uid in request.uids:
            directory = _directory(request, uid)
            if await asyncio.to_thread(_enroll_one, request, layout, signer, uid, directory):
                new.append(uid)
            (directory / profile.AUTHORITIES).write_bytes(authorities.servers_root.read_bytes())
            _hand_out_policy(layout, directory)
            profile.write(directory, _profile(request, layout, uid))
            written.append(directory)
            step()
    await _tell_running_platform(layout, new)
    return written


@contextlib.contextmanager
def _alone(layout: Layout) -> Iterator[None]:
    with layout.alone("enroll"):
        for left in (*layout.root.glob(".enrolling-*"), *layout.volumes.glob(".new-*")):
            shutil.rmtree(left)
        yield


def _directory(request: Request, uid: Uid) -> Path:
    several = len(request.uids) > 1
    if request.out is None:
        return Path(f"{uid}-{request.role}")
    return request.out / uid if several else request.out


def _enroll_one(
    request: Request, layout: Layout, signer: pki.Authority, uid: Uid, directory: Path
) -> bool:
    """Returns whether the user's database was made now."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    volumes = HostPathVolumes(layout.volumes)
    exists = volumes.exists(uid)
    key = _key(request, uid, exists=exists)
    if exists:
        _check_key(volumes.data(uid) / database.FILE_NAME, key, uid)
        if request.source:
            raise EnrollError(f"{uid} has a database already; --import only fills a new one")
    fresh = _write_key(directory / KEY_FILE, key)
    if not exists:
        try:
            _make_database(volumes, layout, uid, key, request.source)
        except BaseException:
            if fresh:  # a key of nothing would only be in the way
                (directory / KEY_FILE).unlink()
            raise
    _certify(signer, Identity(Role(request.role), uid), directory)
    key.wipe()
    return not exists


def _key(request: Request, uid: Uid, *, exists: bool) -> Secret:
    if request.db_key is None:
        if exists:
            raise EnrollError(
                f"{uid} has a database already; pass its key with --db-key (it exists only where it was enrolled)"
            )
        return Secret(secrets.token_bytes(KEY_BYTES))
    file = request.db_key / uid / KEY_FILE if request.db_key.is_dir() else request.db_key
    if request.db_key.is_file() and len(request.uids) > 1:
        raise EnrollError(
            "several users cannot share one key; pass --db-key a directory of UID/db.key"
        )
    try:
        return Secret.from_hex(file.read_text().strip(), KEY_BYTES)
    except (OSError, ValueError) as error:
        raise EnrollError(f"{file} cannot be used as a database key: {words(error)}") from error


def _check_key(file: Path, key: Secret, uid: Uid) -> None:
    if not database.opens_with(file, key):
        raise EnrollError(f"the key given with --db-key does not open the database of {uid}")


def _write_key(file: Path, key: Secret) -> bool:
    """Write the key so that it is on disk when this returns; False if it was there already."""
    text = key.reveal().hex()
    if file.exists():
        if file.read_text().strip() != text:
            raise EnrollError(
                f"{file} holds another database's key, perhaps its only copy; choose another --out"
            )
        return False
    durable.write(file, text.encode())
    durable.sync(file.parent)
    return True


def _make_database(
    volumes: HostPathVolumes, layout: Layout, uid: Uid, key: Secret, source: Path | None
) -> None:
    with tempfile.TemporaryDirectory(prefix=".enrolling-", dir=layout.root) as scratch:
        file = Path(scratch) / database.FILE_NAME
        database.create(file, key)
        if source:
            importing.fill(file, key, source)
        FreshnessStore(layout.freshness, PLAIN).forget(uid)
        volumes.create(uid, Path(scratch))
    copies = HostPathCopies(layout.copies, volumes)
    try:
        copies.closed(uid, Generation(0))
        copies.keep(uid, lambda: None)
    except VolumeError as error:  # a wrapper makes it when it starts again
        say(f"note: the new volume has no copy yet: {error}")


def _hand_out_policy(layout: Layout, directory: Path) -> None:
    """What a client verifies servers by, as the platform has it now."""
    if not layout.policy.exists():
        return
    text = kept_policy.plain(layout.policy.read_text())
    (directory / POLICY_FILE).write_text(text)
    if policy.load(directory / POLICY_FILE).root is Root.SIMULATED:
        (directory / ROOT_FILE).write_bytes(layout.simulated_root.read_bytes())


def _profile(request: Request, layout: Layout, uid: Uid) -> Profile:
    here = address.for_clients(layout)
    server, port = request.server or here.host, request.port or here.port
    return Profile(server=server, port=port, user=uid, role=request.role)


def _certify(signer: pki.Authority, who: Identity, directory: Path) -> None:
    key = pki.new_key()
    leaf = signer.issue(key.public_key(), who, pki.Usage(client=True), USER_LIFETIME)
    pki.write_private(directory / profile.KEY, pki.key_pem(key))
    (directory / profile.CERTIFICATE).write_bytes(pki.certificate_pem(leaf))


async def _tell_running_platform(layout: Layout, uids: list[Uid]) -> None:
    """With the approach `trivial`, a new user's server is started at once."""
    try:
        found = running.endpoints_of(layout)
    except NotRunningError:
        return
    if found.routing_manager is None and uids:
        from standby_cli import dedicated  # noqa: PLC0415  # other approaches need no calls
        from standby_cli.control import control  # noqa: PLC0415

        async with control(Authorities(layout).operator()) as calls:
            await dedicated.serve(layout, found.wrappers, calls, uids)


@contextlib.contextmanager
def progress(total: int) -> Iterator[Callable[[], None]]:
    """A bar with the time left, when there is something to wait for; gives the function that moves it."""
    if total <= FEW:
        yield lambda: None
        return
    from rich import progress as rich  # noqa: PLC0415  # a few users need no bar

    from standby_cli import terminal  # noqa: PLC0415

    columns = (
        rich.TextColumn("enrolling"),
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        rich.TimeRemainingColumn(),
    )
    console = terminal.console(stderr=True)
    with rich.Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda: bar.advance(task)
