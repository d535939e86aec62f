"""Which machine and which versions a result belongs to; without them no figure means anything."""

import os
import platform
import ssl
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct
from sqlcipher3 import dbapi2


class Machine(Struct, frozen=True, kw_only=True):
    """Where results come from."""

    versions: dict[str, str]
    facts: dict[str, str | int | float]


_PACKAGES: Final = ("standby-servers", "aiohttp", "uvloop", "msgspec", "sqlcipher3")


def versions() -> dict[str, str]:
    """Of the programs and libraries that do the work."""
    found = {name: metadata.version(name) for name in _PACKAGES}
    return {
        **found,
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
        "sqlite": dbapi2.sqlite_version,
        "haproxy": _haproxy(),
        "kernel": platform.release(),
    }


def facts() -> dict[str, str | int | float]:
    """Processors, memory in MiB, and the load (runnable processes, mean of a minute) found at this moment."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "architecture": platform.machine(),
        "processors": os.cpu_count() or 0,
        "memory_mib": pages // 2**20,
        "load": round(os.getloadavg()[0], 2),
    }


def write(file: Path) -> None:
    """What it is now, for results that are looked at later, or elsewhere."""
    file.write_bytes(msgspec.json.encode(Machine(versions=versions(), facts=facts())))


def read(file: Path) -> Machine:
    return msgspec.json.decode(file.read_bytes(), type=Machine)


def _haproxy() -> str:
    try:
        said = subprocess.run(["haproxy", "-v"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return said.split()[2] if len(said.split()) > 2 else said.strip()  # noqa: PLR2004  # HAProxy version X
