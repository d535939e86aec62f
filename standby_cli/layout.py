"""Where things lie in a platform's state directory. One file is outside of it: the seal key.

address.json        where clients connect, also while the platform is not up
endpoints.json      how to reach the running platform; absent while it is not up
parts.json          what the supervisor knows of each part: its process, since when, how it ended last
supervisor.lock     locked by the running supervisor, holds its pid
supervisor.sock     where the running supervisor takes orders, mode 0600
pki/                authorities (their keys sealed) and the parts' certificates
trust/              the policy, its key and what was measured for it, the simulated platform (keys sealed), mode 0700
trust/measurement/  what was measured of the servers' program, with its bytecode, for the next process that does
trust/freshness/    what each user's database was like when it was closed
volumes/<uid>/      users' encrypted databases
copies/<uid>/       the same as they were when servers closed them, mode 0700
wrappers/<id>/      a wrapper's own state (epoch, slots)
lb/                 HAProxy's configuration and sockets, and the one over which it asks the Routing Manager
logs/<part>.log     what the parts print
audit/<wrapper>/    a wrapper's signed log of verdicts

The seal key opens what is sealed. It lies beside the state directory, or where `$STANDBY_SEAL_KEY` says, so that a copy
of the state directory does not hold the keys of the platform.

Everything has mode 0700, with one exception. Where the platform runs as root, its servers have uids of their own, which
must come by name to what they read: the users' root certificate in `pki`, and their volume. So the directories on the
way there are passages then (mode 0711): strangers can pass, and list nothing. Keys and users' data have modes of their
own that keep them out.
"""

import contextlib
import fcntl
import os
import pwd
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app_wrapper import server_uids
from attestation.trust_files import KEY_FILE, POLICY_FILE, ROOT_FILE
from standby import settings
from standby.settings import SettingsError
from standby_cli.settings import PREFIX, Settings


def default_directory() -> Path:
    """`$STANDBY_STATE_DIR`, else `standby` in the user's state directory (XDG).

    Raises:
        SettingsError: a variable is misspelt, or nothing says which directory that is.
    """
    if chosen := settings.load(Settings, PREFIX, os.environ).state_dir:
        return chosen
    base = Path(os.environ.get("XDG_STATE_HOME", ""))
    return (base if base.is_absolute() else _home() / ".local" / "state") / "standby"


def _home() -> Path:
    try:
        home = Path(os.environ.get("HOME") or pwd.getpwuid(os.geteuid()).pw_dir)
    except KeyError:
        home = Path()
    if not home.is_absolute():
        raise SettingsError(
            "HOME names no directory for the platform's state; choose one with --state-dir or STANDBY_STATE_DIR"
        )
    return home


@dataclass(frozen=True)
class Layout:
    root: Path

    @property
    def endpoints(self) -> Path:
        return self.root / "endpoints.json"

    @property
    def address(self) -> Path:
        return self.root / "address.json"

    @property
    def part_records(self) -> Path:
        return self.root / "parts.json"

    @property
    def lock(self) -> Path:
        return self.root / "supervisor.lock"

    @property
    def orders(self) -> Path:
        return self.root / "supervisor.sock"

    @property
    def pki(self) -> Path:
        return self.root / "pki"

    @property
    def volumes(self) -> Path:
        return self.root / "volumes"

    @property
    def copies(self) -> Path:
        return self.root / "copies"

    @property
    def lb(self) -> Path:
        return self.root / "lb"

    @property
    def routes(self) -> Path:
        """Where HAProxy asks the Routing Manager."""
        return self.lb / "routes.sock"

    @property
    def trust(self) -> Path:
        return self.root / "trust"

    @property
    def policy(self) -> Path:
        """What clients and wrappers admit servers by; absent as long as the platform has none."""
        return self.trust / POLICY_FILE

    @property
    def policy_key(self) -> Path:
        """Public key of the policy's writer, for clients; absent where the policy is not signed."""
        return self.trust / KEY_FILE

    @property
    def own_policy_key(self) -> Path:
        """The key that signs the platform's own policy, sealed."""
        return self.trust / "own-policy.key"

    @property
    def policy_version(self) -> Path:
        """The highest version that was ever signed here."""
        return self.trust / "policy-version"

    @property
    def simulated_root(self) -> Path:
        return self.trust / ROOT_FILE

    @property
    def measured(self) -> Path:
        """What the platform's own policy was made from, for `standby measure --explain`."""
        return self.trust / "measured.json"

    @property
    def measurement(self) -> Path:
        """What wrappers and the next start need not measure again while nothing changes."""
        return self.trust / "measurement"

    @property
    def freshness(self) -> Path:
        return self.trust / "freshness"

    @property
    def seal_key(self) -> Path:
        """`$STANDBY_SEAL_KEY`, else a file beside the state directory."""
        chosen = os.environ.get("STANDBY_SEAL_KEY")
        return Path(chosen or f"{self.root}.seal-key").absolute()

    @property
    def audit(self) -> Path:
        return self.root / "audit"

    def audit_of(self, wrapper_id: str) -> Path:
        return self.audit / wrapper_id

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def wrapper(self, wrapper_id: str) -> Path:
        return self._wrappers / wrapper_id

    @property
    def _wrappers(self) -> Path:
        return self.root / "wrappers"

    def log(self, part: str) -> Path:
        return self.logs / f"{part}.log"

    def make(self) -> None:
        """Create the directories; only their owner may look inside."""
        for passage in self._passages():
            server_uids.make_passage(passage)
        for directory in self._closed():
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def directories(self) -> tuple[Path, ...]:
        """All that `make` creates, the state directory first."""
        return (*self._passages(), *self._closed())

    def _passages(self) -> tuple[Path, ...]:
        return (self.root, self.pki, self.volumes, self._wrappers)

    def _closed(self) -> tuple[Path, ...]:
        return (self.trust, self.freshness, self.copies, self.lb, self.logs, self.audit)

    @contextlib.contextmanager
    def alone(self, what: str) -> Iterator[None]:
        """No other command does this while the context lasts; others wait.

        The lock is its owner's alone, so that nobody else can hold it.
        """
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self.root / f".{what}.lock", flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def make_wrapper(self, wrapper_id: str) -> None:
        """Create the directory of a wrapper's own state, with its servers' directories."""
        server_uids.make_passage(self.wrapper(wrapper_id))
