"""Where things lie in a platform's state directory. Nothing is written outside of it.

endpoints.json      how to reach the running platform; absent while it is not up
supervisor.lock     locked by the running supervisor, holds its pid
pki/                authorities and the parts' certificates, mode 0700
volumes/<uid>/      users' encrypted databases
wrappers/<id>/      a wrapper's own state (epoch, slots)
lb/                 HAProxy's configuration and sockets
logs/<part>.log     what the parts print
audit/              the signed log of verdicts
"""

import os
from dataclasses import dataclass
from pathlib import Path


def default_directory() -> Path:
    """`$STANDBY_STATE_DIR`, else `standby` in the user's state directory (XDG)."""
    chosen = os.environ.get("STANDBY_STATE_DIR")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "standby"


@dataclass(frozen=True)
class Layout:
    root: Path

    @property
    def endpoints(self) -> Path:
        return self.root / "endpoints.json"

    @property
    def lock(self) -> Path:
        return self.root / "supervisor.lock"

    @property
    def pki(self) -> Path:
        return self.root / "pki"

    @property
    def volumes(self) -> Path:
        return self.root / "volumes"

    @property
    def lb(self) -> Path:
        return self.root / "lb"

    @property
    def audit(self) -> Path:
        return self.root / "audit"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def wrapper(self, wrapper_id: str) -> Path:
        return self.root / "wrappers" / wrapper_id

    def log(self, part: str) -> Path:
        return self.logs / f"{part}.log"

    def make(self) -> None:
        """Create the directories; only their owner may look inside."""
        for directory in (self.root, self.pki, self.volumes, self.lb, self.logs):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
