"""A whole platform for end-to-end tests, started and ended by the `standby` command."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from app_wrapper.settings import Attestation
from attestation import sealing
from bench.processes import descendants, servers
from smartgrid_client.api import SmartGridClient
from smartgrid_client.connection import Address
from standby.identity import Role
from standby.ids import parse_uid
from standby.secret import Secret
from standby.tls import TlsFiles
from standby_cli import enrollment, overview, part_record, program
from standby_cli.control import control
from standby_cli.errors import CommandError
from standby_cli.layout import Layout
from standby_cli.running import endpoints_of

T = TypeVar("T")
COMMAND_LIMIT = 120
_SCRATCH = tempfile.TemporaryDirectory(prefix="tests-")


def command(
    *arguments: str | Path, environ: Mapping[str, str] | None = None, check: bool = True
) -> "subprocess.CompletedProcess[str]":
    """Run `standby` with these arguments to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "standby_cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=COMMAND_LIMIT,
        env={**os.environ, **(environ or {})},
        check=False,
    )
    assert not check or done.returncode == 0, f"standby {arguments}: {done.stdout}{done.stderr}"
    return done


@dataclass(frozen=True)
class User:
    """An enrolled user: the directory that `standby enroll` wrote."""

    uid: str
    role: Role
    directory: Path

    @property
    def key(self) -> Secret:
        return Secret.from_hex((self.directory / "db.key").read_text(), 32)

    @property
    def tls(self) -> TlsFiles:
        return TlsFiles(
            certificate=self.directory / "client.pem",
            key=self.directory / "client-key.pem",
            authorities=self.directory / "ca.pem",
        )


def _aside(work: Coroutine[Any, Any, T]) -> T:
    """What it returns, run by a loop of its own: commands do this work, and a process for each costs half a second."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


@dataclass(frozen=True)
class RunningPlatform:
    state_dir: Path
    users_dir: Path

    @property
    def endpoints(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((self.state_dir / "endpoints.json").read_text())
        return loaded

    @property
    def port(self) -> int:
        return int(self.endpoints["lb"]["port"])

    @property
    def pids(self) -> list[int]:
        """Of every part, and of all that they have started: servers, and what servers are forked from."""
        parts = [self.endpoints["pids"]["supervisor"], *self.part_pids.values()]
        return [*parts, *(pid for part in parts[1:] for pid in descendants(part))]

    @property
    def part_pids(self) -> dict[str, int]:
        """Of each part that runs, by its name."""
        parts = self.endpoints["pids"]
        named = {"haproxy": parts["haproxy"], "routing-manager": parts["routing_manager"]}
        return {name: pid for name, pid in (named | parts["wrappers"]).items() if pid}

    def servers(self, wrapper_id: str) -> dict[str, int]:
        """The pids of a wrapper's server processes, by their boot ids."""
        found = servers(Layout(self.state_dir))
        return {each.boot_id: each.process.pid for each in found if each.wrapper == wrapper_id}

    def status(self) -> dict[str, Any]:
        """As `standby status --json` says it, which must not find a part away."""
        found = _aside(self._status())
        assert not found.away
        loaded: dict[str, Any] = json.loads(msgspec.json.encode(found))
        return loaded

    def has_ready(self, count: int) -> bool:
        """Whether every part answers, and so many servers are READY."""
        try:
            found = _aside(self._status())
        except CommandError:
            return False
        return not found.away and count == found.counts.READY

    async def _status(self) -> overview.Status:
        layout = Layout(self.state_dir)
        async with control() as calls:
            records = part_record.read(layout.part_records)
            return await overview.collect(endpoints_of(layout), calls, records)

    def enroll(self, uid: str, role: Role = Role.CUSTOMER, *, db_key: Path | None = None) -> User:
        directory = self.users_dir / f"{uid}-{role}"
        self._enroll([uid], role, directory, db_key)
        return User(uid, role, directory)

    def enroll_many(
        self, uids: list[str], role: Role = Role.CUSTOMER, *, db_key: Path | None = None
    ) -> list[User]:
        directory = self.users_dir / f"many-{role}"
        self._enroll(uids, role, directory, db_key)
        return [User(uid, role, directory / uid) for uid in uids]

    def _enroll(self, uids: list[str], role: Role, out: Path, db_key: Path | None) -> None:
        request = enrollment.Request(tuple(map(parse_uid, uids)), role, out, db_key, None)
        _aside(enrollment.enroll(request, Layout(self.state_dir), lambda: None))

    def client(self, user: User) -> SmartGridClient:
        return SmartGridClient(Address("127.0.0.1", self.port, parse_uid(user.uid)), user.tls)


@cache
def _measured() -> Layout:
    """A state directory with what was measured of the servers' program, and nothing else."""
    made = Layout(Path(_SCRATCH.name) / "state")
    program.measured(Attestation.SOFT_DCAP, made, sealing.load_or_create(made.seal_key))
    return made


def spare_measuring(layout: Layout) -> None:
    """Begin a platform with what another one has measured, and with its seal key: half of a start is measuring.

    The platform believes it only if it still holds for its own servers; else it measures by itself.
    """
    if layout.seal_key.exists():
        return
    layout.make()
    shutil.copytree(_measured().measurement, layout.measurement)
    shutil.copy(_measured().seal_key, layout.seal_key)


@contextmanager
def platform(
    directory: Path, *options: str, environ: Mapping[str, str] | None = None
) -> Iterator[RunningPlatform]:
    """A platform that runs while the context lasts."""
    running = RunningPlatform(directory / "state", directory / "users")
    if "off" not in options:
        spare_measuring(Layout(running.state_dir))
    command("up", "--state-dir", running.state_dir, "--detach", *options, environ=environ)
    try:
        yield running
    finally:
        command("down", "--state-dir", running.state_dir, "--now")
