"""What `standby up` was asked for."""

from dataclasses import dataclass
from pathlib import Path

from app_wrapper.settings import Attestation
from standby.approach import Approach


@dataclass(frozen=True)
class Options:
    """The options of `standby up`."""

    approach: Approach
    pool_size: int
    """Server processes of each wrapper."""
    wrappers: int
    host: str
    port: int
    """Of the load balancer; 0: the system chooses."""
    attestation: Attestation
    policy: Path | None = None
    """To be installed; None: the one that is installed, else the platform's own."""
