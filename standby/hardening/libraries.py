"""Where a Python program finds what it loads later: modules at their first use, shared libraries, time zones.

All of it is the same for everybody and holds no secret. A process that has already used everything once, as one that
was forked from a rehearsed template has, can do without; then a traceback lacks its source lines.

Of packages outside the installation (an editable install, the current directory) only those are named that are loaded,
not the directory they are in: that may be anybody's home.

The directory of Python's caches is named if there is one for all (`sys.pycache_prefix`): what is imported late would be
compiled again without it.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

_SYSTEM: Final = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/share/zoneinfo",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/ssl/openssl.cnf",
    "/dev/null",
    "/dev/urandom",
)


def library_places() -> tuple[Path, ...]:
    """To be read only, for `Places`; those that exist. A template asks once, for all its servers."""
    prefixes = f"{sys.prefix}/", f"{sys.base_prefix}/"
    found = {*_SYSTEM, f"{sys.base_prefix}/lib", *(e for e in sys.path if e.startswith(prefixes))}
    if sys.pycache_prefix is not None:
        found.add(sys.pycache_prefix)
    found.update(_loaded(tuple(f"{each}/" for each in found)))
    return tuple(Path(each) for each in _outermost(found) if os.path.exists(each))  # noqa: PTH110  # many


def _loaded(elsewhere: tuple[str, ...]) -> Iterator[str]:
    """Files of top-level modules and directories of top-level packages that are not found elsewhere."""
    for name, module in sys.modules.copy().items():
        file = getattr(module, "__file__", None)
        if file is None or "." in name or name == "__main__" or file.startswith(elsewhere):
            continue
        yield os.path.dirname(file) if hasattr(module, "__path__") else file  # noqa: PTH120  # many


def _outermost(paths: Iterable[str]) -> Iterator[str]:
    """Those that lie in none of the others."""
    last = None
    for path in sorted(paths, key=lambda path: path.split("/")):
        if last is None or not path.startswith(f"{last}/"):
            last = path
            yield path
