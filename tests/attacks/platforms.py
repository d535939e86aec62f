"""A platform that runs from an installation of its own, as any account, and is told what to do by commands alone."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from app_wrapper.volumes import record
from bench.processes import descendants
from standby.identity import Role
from standby.messages import WrapperState
from standby.states import State
from tests.attacks import spy
from tests.attacks.installation import COMMAND_LIMIT, Installation
from tests.support.platform import RunningPlatform, User
from tests.support.waiting import eventually_sync

POOL_SIZE: Final = 2
OPERATOR: Final = 64_901
"""An account that nobody has, for platforms that must not be root's."""
STRANGER: Final = 64_902
"""Another one."""
COMMON: Final = {"HOME": "/nowhere", "LANG": "C.UTF-8"}
"""For every command, so that whoever gives it measures the same."""
_SPY: Final = Path(spy.__file__)


@dataclass(frozen=True)
class Platform(RunningPlatform):
    installation: Installation
    account: int | None = None
    environ: Mapping[str, str] = field(default_factory=dict)

    def standby(
        self, *arguments: str | Path, check: bool = True
    ) -> "subprocess.CompletedProcess[str]":
        """One `standby` command, as the platform's account."""
        environ = {**COMMON, "STANDBY_STATE_DIR": str(self.state_dir), **self.environ}
        done = self.installation.run(
            "standby_cli", *arguments, environ=environ, account=self.account
        )
        assert not check or done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done

    def status(self) -> dict[str, Any]:
        loaded: dict[str, Any] = msgspec.json.decode(self.standby("status", "--json").stdout)
        return loaded

    def enroll(self, uid: str, role: Role = Role.CUSTOMER, *, db_key: Path | None = None) -> User:
        return self.enroll_many([uid], role, db_key=db_key)[0]

    def enroll_many(
        self, uids: list[str], role: Role = Role.CUSTOMER, *, db_key: Path | None = None
    ) -> list[User]:
        directory = self.users_dir / f"{uids[0]}-{role}"
        out = directory / uids[0] if len(uids) == 1 else directory
        key = ("--db-key", db_key) if db_key else ()
        self.standby("enroll", *uids, "--role", role, "--out", out, *key)
        return [User(uid, role, directory / uid) for uid in uids]

    @property
    def processes(self) -> dict[str, list[int]]:
        """The pids of each kind; `servers` are all that the wrapper has started, its template too."""
        pids = self.endpoints["pids"]
        wrapper = pids["wrappers"]["w1"]
        return {
            "supervisor": [pids["supervisor"]],
            "routing manager": [pids["routing_manager"]],
            "load balancer": [pids["haproxy"]],
            "wrapper": [wrapper],
            "servers": descendants(wrapper),
        }

    def settled(self) -> set[str]:
        """The boot ids of the READY servers, once the pool is as full as it should be."""
        return eventually_sync(
            lambda: found if len(found := self._ready()) == POOL_SIZE else set(), "a full pool"
        )

    def _ready(self) -> set[str]:
        (listeners,) = self.endpoints["wrappers"]
        with urllib.request.urlopen(f"{listeners['url']}/v1/instances") as answer:  # noqa: S310  # our own
            state = msgspec.json.decode(answer.read(), type=WrapperState)
        return {each.boot_id for each in state.instances if each.state is State.READY}

    def server_of(self, uid: str) -> int:
        """The pid of the server that holds the user's volume, by the volume's own record."""
        line = (self.state_dir / "volumes" / uid / record.CLAIM).read_bytes().split(b"\n", 1)[0]
        return msgspec.json.decode(line, type=record.ClaimRecord).pid or 0


@contextlib.contextmanager
def place(account: int | None = None) -> Iterator[Path]:
    """A directory of that account's, which others can pass through; pytest's own are closed to them."""
    with tempfile.TemporaryDirectory(prefix="attacks-") as name:
        Path(name).chmod(0o711)
        if account is not None:
            os.chown(name, account, account)
        yield Path(name)


@contextlib.contextmanager
def running(
    installation: Installation,
    policy: Path | None = None,
    account: int | None = None,
    environ: Mapping[str, str] | None = None,
) -> Iterator[Platform]:
    """Attested by the policy; without one, not at all."""
    with place(account) as directory:
        platform = Platform(
            state_dir=directory / "state",
            users_dir=directory / "users",
            installation=installation,
            account=account,
            environ=environ or {},
        )
        pool = ("--pool-size", str(POOL_SIZE))
        platform.standby("up", "--detach", *pool, *_attested(policy, directory))
        try:
            yield platform
        finally:
            platform.standby("down", "--now")


def _attested(policy: Path | None, directory: Path) -> tuple[str | Path, ...]:
    """Options; the policy is copied to where the platform's account can read it."""
    if policy is None:
        return "--attestation", "off"
    copy = Path(shutil.copy(policy, directory / policy.name))
    copy.chmod(0o644)
    return "--policy", copy


def operator() -> int | None:
    """Whose platforms are: an account without rights where that can be had."""
    return OPERATOR if os.geteuid() == 0 else None


def yama() -> bool:
    """Whether the kernel keeps programs of one account from each other already."""
    scope = Path("/proc/sys/kernel/yama/ptrace_scope")
    return scope.exists() and scope.read_text().strip() != "0"


def spied(
    platform: Platform, pid: int, needles: Sequence[bytes], account: int | None
) -> dict[str, Any]:
    """What a program that somebody starts beside the platform learns of one of its processes."""
    program: list[str | Path] = [
        platform.installation.python,
        "-I",
        "-c",
        _SPY.read_text(),
        str(pid),
    ]
    done = subprocess.run(
        [*program, *(each.hex() for each in needles)],
        capture_output=True,
        timeout=COMMAND_LIMIT,
        cwd="/",
        check=False,
        user=account,
        group=account,
        extra_groups=None if account is None else [],
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = msgspec.json.decode(done.stdout)
    return found
