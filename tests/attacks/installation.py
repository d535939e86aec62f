"""A copy of everything that a platform runs: interpreter, standard library, packages and the project itself.

Attacks need one. A byte of a server's program can be changed in it and nobody else notices, and every account can
start it, so a platform can run as somebody who is not root: the interpreter of the tests may lie in root's home, where
only root can start it.
"""

import compileall
import contextlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent.parent
OWN: Final = (
    "app_wrapper",
    "attestation",
    "lb_lua",
    "routing_manager",
    "smartgrid_client",
    "smartgrid_server",
    "standby",
    "standby_cli",
)
_CHARTS: Final = {"matplotlib", "plotext"}
"""Loaded by nobody who draws none, and large."""
_STDLIB_OMITTED: Final = (
    "config-*",
    "ensurepip",
    "idlelib",
    "lib2to3",
    "pydoc_data",
    "site-packages",
    "test",
    "tests",
    "tkinter",
    "turtledemo",
)
_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")
_BESIDE: Final = b"$ORIGIN/../lib"
COMMAND_LIMIT: Final = 180


@dataclass(frozen=True)
class Installation:
    """Laid out as any Python is: `bin/python3`, `lib/python3.x`, and packages where that Python looks for them."""

    root: Path

    @property
    def python(self) -> Path:
        return self.root / "bin" / "python3"

    @property
    def library(self) -> Path:
        return self.root / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}"

    @cached_property
    def packages(self) -> Path:
        """Where the interpreter itself looks; Debian's looks elsewhere than others do."""
        question = "import site; print(site.getsitepackages()[0])"
        asked = subprocess.run(
            [self.python, "-I", "-c", question], capture_output=True, text=True, check=True
        )
        return Path(asked.stdout.strip())

    def run(
        self,
        module: str,
        *arguments: str | Path,
        environ: Mapping[str, str] | None = None,
        account: int | None = None,
    ) -> "subprocess.CompletedProcess[str]":
        """Run a program of the installation to its end, as that account (None: whoever runs the tests)."""
        return subprocess.run(
            [self.python, "-m", module, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=COMMAND_LIMIT,
            env=environment() | dict(environ or {}),
            cwd="/",
            check=False,
            user=account,
            group=account,
            extra_groups=None if account is None else [],
        )


def environment() -> dict[str, str]:
    """Ours without what would lead a Python elsewhere or set a part of the platform."""
    prefixes = ("PYTHON", "SMARTGRID_", "APP_WRAPPER_", "STANDBY_", "ROUTING_MANAGER_", "VIRTUAL_")
    return {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}


@contextlib.contextmanager
def installed() -> Iterator[Installation]:
    """Make one in a directory that everybody can reach; it is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="attacks-") as name:
        Path(name).chmod(0o755)
        made = Installation(Path(name) / "python")
        _copy_interpreter(made)
        for each in _needed():
            _copy_distribution(each, made.packages)
        for package in OWN:
            shutil.copytree(ROOT / package, made.packages / package)
            compileall.compile_dir(made.packages / package, quiet=1)
        yield made


def _copy_interpreter(made: Installation) -> None:
    made.python.parent.mkdir(parents=True)
    real = Path(sys.executable).resolve()
    shutil.copy2(real, made.python)
    library = Path(sysconfig.get_path("stdlib"))
    omitted = shutil.ignore_patterns(*_STDLIB_OMITTED)
    shutil.copytree(library, made.library, ignore=omitted, dirs_exist_ok=True)
    place, shared = sysconfig.get_config_vars("LIBDIR", "INSTSONAME")
    if sysconfig.get_config_var("Py_ENABLE_SHARED") and (Path(place) / shared).exists():
        shutil.copy2(Path(place) / shared, made.library.parent)
        _look_beside(made.python, str(place).encode())
    made.packages.mkdir(parents=True, exist_ok=True)


def _look_beside(executable: Path, place: bytes) -> None:
    """Have the loader look for libpython beside the copy, where the path that is written in it is longer."""
    content = executable.read_bytes()
    if len(place) >= len(_BESIDE):
        executable.write_bytes(content.replace(place + b"\0", _BESIDE.ljust(len(place) + 1, b"\0")))


def _needed() -> list[importlib.metadata.Distribution]:
    """The distributions that the project needs, and what those need."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found: dict[str, importlib.metadata.Distribution] = {}
    left = list(project["dependencies"])
    while left:
        text = left.pop()
        match = _NAME.match(text)
        if match is None or "extra ==" in text or match[0] in {*found, *_CHARTS}:
            continue
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # another Python's
            found[match[0]] = importlib.metadata.distribution(match[0])
            left += found[match[0]].requires or []
    return [*found.values()]


def _copy_distribution(found: importlib.metadata.Distribution, packages: Path) -> None:
    """What it has put among the packages; its scripts are left out."""
    for file in found.files or []:
        if ".." in file.parts:
            continue
        target = packages / file
        target.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # bytecode that was never made
            shutil.copy2(str(found.locate_file(file)), target)
