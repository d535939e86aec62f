"""Enrolling users: an encrypted database each, a certificate each, and the key that only they have.

Order matters, because the key exists nowhere else afterwards: `db.key` is on disk before the database exists, and the
database appears in the volumes as a whole or not at all. Enrolling again with the key makes a new certificate;
enrolling again without it is refused, unless a new database is wanted. What is refused leaves no directory. One
enrollment runs at a time, and removes what a killed one has left.
"""

import asyncio
import contextlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from attestation import policy
from attestation.claims import Root
from attestation.trust_files import KEY_FILE as POLICY_KEY_FILE
from attestation.trust_files import POLICY_FILE, ROOT_FILE
from smartgrid_client import profile
from smartgrid_client.profile import Profile
from standby import pki
from standby.errors import words
from standby.identity import Identity, Role
from standby.ids import Uid
from standby.secret import Secret
from standby_cli import address, running, user_key
from standby_cli.authorities import USER_LIFETIME, Authorities
from standby_cli.commands import say
from standby_cli.errors import EnrollError, NotRunningError
from standby_cli.layout import Layout
from standby_cli.user_database import UserDatabase

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
    new_database: bool = False
    """Even if the user has one."""
    server: str | None = None
    """Where the user's clients find the platform; None: this machine's."""
    port: int | None = None


async def enroll(request: Request, layout: Layout, step: Callable[[], None]) -> list[Path]:
    """Enroll every user of the request, one after another; returns the directories that were written.

    What was enrolled before an error stays enrolled.

    Raises:
        EnrollError: a key is missing, wrong, or not needed; or a file cannot be used.
        InSessionError: the user has a session, and shall get a new database.
        SealError: the platform's own keys cannot be opened.
    """
    layout.make()
    authorities = Authorities(layout)
    if not authorities.users_root.exists() and any(layout.volumes.iterdir()):
        raise EnrollError(
            f"{layout.pki} is gone while users exist; restore it, new roots would fit nobody"
        )
    authorities.make()
    written, new = [], []
    with _alone(layout):
        for uid in request.uids:
            directory = _directory(request, uid)
            if await asyncio.to_thread(_enroll_one, request, layout, uid, directory):
                new.append(uid)
            _write_files(request, layout, authorities, uid, directory)
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


def _enroll_one(request: Request, layout: Layout, uid: Uid, directory: Path) -> bool:
    """See to the user's database and its key; returns whether the user is new."""
    try:
        return _see_to_database(request, layout, uid, directory)
    except OSError as error:
        raise EnrollError(f"{uid} was not enrolled: {words(error)}") from error


def _see_to_database(request: Request, layout: Layout, uid: Uid, directory: Path) -> bool:
    data = UserDatabase(layout, uid)
    exists = data.exists
    key = _key(request, uid, exists=exists)
    if exists and not request.new_database:
        data.check(key)
        if request.source:
            raise EnrollError(f"{uid} has a database already; --import only fills a new one")
    user_key.check_place(directory, key)
    with _made(directory), _kept(directory, key, data):
        if not exists:
            data.make(key, request.source, say)
        elif request.new_database:
            data.renew(key, request.source, say)
    if not exists:
        data.copy(say)
    key.wipe()
    return not exists


@contextlib.contextmanager
def _kept(directory: Path, key: Secret, data: UserDatabase) -> Iterator[None]:
    """The key is in the directory, and stays there unless the context ends with an error and it opens nothing."""
    fresh = user_key.write(directory, key)
    try:
        yield
    except BaseException:
        if fresh and not data.opens(key):
            user_key.remove(directory)
        raise


def _key(request: Request, uid: Uid, *, exists: bool) -> Secret:
    if request.db_key is not None:
        if request.db_key.is_file() and len(request.uids) > 1:
            raise EnrollError(
                "several users cannot share one key; pass --db-key a directory of UID/db.key"
            )
        return user_key.given(request.db_key, uid)
    if exists and not request.new_database:
        raise EnrollError(
            f"{uid} has a database already; pass its key with --db-key (it exists only where it was enrolled). If the "
            "key is lost, so is what the database holds: --new-database begins with an empty one"
        )
    return user_key.new()


@contextlib.contextmanager
def _made(directory: Path) -> Iterator[None]:
    """The directory exists; what of it is new is removed if the context ends with an error."""
    fresh = [each for each in (directory, *directory.parents) if not each.exists()]
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):  # another enrollment may use it by now
            for each in fresh:
                each.rmdir()
        raise


def _write_files(
    request: Request, layout: Layout, authorities: Authorities, uid: Uid, directory: Path
) -> None:
    """All but the key."""
    try:
        _certify(authorities.users(), Identity(Role(request.role), uid), directory)
        (directory / profile.AUTHORITIES).write_bytes(authorities.servers_root.read_bytes())
        _hand_out_policy(layout, directory)
        profile.write(directory, _profile(request, layout, uid))
    except OSError as error:
        raise EnrollError(
            f"{uid} has a database and its key, and the other files cannot be written: {words(error)}; mend that, and "
            f"enroll again with --db-key {directory / user_key.FILE}"
        ) from error


def _hand_out_policy(layout: Layout, directory: Path) -> None:
    """What a client verifies servers by, as the platform has it now, and the key that signs newer versions."""
    if not layout.policy.exists():
        return
    (directory / POLICY_FILE).write_bytes(layout.policy.read_bytes())
    if layout.policy_key.exists():
        (directory / POLICY_KEY_FILE).write_bytes(layout.policy_key.read_bytes())
    else:
        (directory / POLICY_KEY_FILE).unlink(missing_ok=True)
    if policy.load(directory / POLICY_FILE).root is Root.SIMULATED:
        (directory / ROOT_FILE).write_bytes(layout.simulated_root.read_bytes())


def _profile(request: Request, layout: Layout, uid: Uid) -> Profile:
    here = address.for_clients(layout)
    server, port = request.server or here.host, request.port or here.port
    role: Literal["customer", "meter"] = "meter" if request.role == Role.METER else "customer"
    return Profile(server=server, port=port, user=uid, role=role)


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
