"""A whole platform for end-to-end tests, run by nothing but the `standby` command."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from app_wrapper.settings import Attestation
from attestation import sealing
from bench.processes import descendants, servers
from smartgrid_client.api import SmartGridClient
from smartgrid_client.connection import Address
from standby.identity import Role
from standby.ids import parse_uid
from standby.secret import Secret
from standby.tls import TlsFiles
from standby_cli import program
from standby_cli.layout import Layout

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
        text = command("status", "--state-dir", self.state_dir, "--json").stdout
        loaded: dict[str, Any] = json.loads(text)
        return loaded

    def enroll(self, uid: str, role: Role = Role.CUSTOMER, *extra: str | Path) -> User:
        directory = self.users_dir / f"{uid}-{role}"
        command(
            "enroll", uid, "--role", role, "--state-dir", self.state_dir, "--out", directory, *extra
        )
        return User(uid, role, directory)

    def enroll_many(
        self, uids: list[str], role: Role = Role.CUSTOMER, *extra: str | Path
    ) -> list[User]:
        directory = self.users_dir / f"many-{role}"
        command(
            "enroll",
            *uids,
            "--role",
            role,
            "--state-dir",
            self.state_dir,
            "--out",
            directory,
            *extra,
        )
        return [User(uid, role, directory / uid) for uid in uids]

    def client(self, user: User) -> SmartGridClient:
        return SmartGridClient(Address("127.0.0.1", self.port, parse_uid(user.uid)), user.tls)


@cache
def _measured() -> Layout:
    """A state directory with what was measured of the servers' program, and nothing else."""
    made = Layout(Path(_SCRATCH.name) / "state")
    program.measured(Attestation.SOFT_DCAP, made, sealing.load_or_create(made.seal_key))
    return made


def _spare_measuring(layout: Layout) -> None:
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
        _spare_measuring(Layout(running.state_dir))
    command("up", "--state-dir", running.state_dir, "--detach", *options, environ=environ)
    try:
        yield running
    finally:
        command("down", "--state-dir", running.state_dir, "--now")
