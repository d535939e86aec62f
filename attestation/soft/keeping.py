"""Where a simulated platform is kept between two lives of its owner: one file, whole or not at all, for one account.

The keys are on disk as a seal made them (`standby.seal`). With `PLAIN`, the file's mode 0600 in a directory of mode
0700 is all that protects them.
"""

from pathlib import Path
from typing import Final

from attestation.trust_files import ROOT_FILE
from standby import durable
from standby.seal import Seal

KEYS_FILE: Final = "simulated-platform.keys"


def write(directory: Path, keys: bytes, root_pem: bytes, seal: Seal) -> None:
    """Keep a platform's keys; on disk when this returns. The directory is made if need be."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    (directory / ROOT_FILE).write_bytes(root_pem)
    durable.replace(directory / KEYS_FILE, seal.close(keys))


def read(directory: Path, seal: Seal) -> bytes:
    """The keys that were written.

    Raises:
        OSError: there are none, or they cannot be read.
        ValueError: the seal does not fit.
    """
    return seal.open((directory / KEYS_FILE).read_bytes())
