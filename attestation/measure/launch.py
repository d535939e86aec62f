"""What is measured of a launch, as plain data; whoever describes programs (an `app.toml`) makes this from it."""

import fnmatch
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from attestation.measure.digests import DigestCache
from attestation.measure.errors import BadLaunchError
from attestation.measure.manifest import Entry, Kind, Manifest
from attestation.measure.tree import Tree
from attestation.measure.watch import Watch

_LOADERS: Final = (
    "LD_AUDIT",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "PATH",
    "PYTHONHOME",
    "PYTHONPATH",
)


class Launch(Struct, frozen=True, kw_only=True):
    """A program that is about to be started; texts keep their placeholders."""

    command: tuple[str, ...]
    variables: Mapping[str, str]
    """All that the program is given."""
    any_value: tuple[str, ...] = ()
    """Patterns of names of variables that only say where something is kept: neither that they are there is measured,
    nor their values. Variables that make programs load code cannot be among them, as that would admit any code."""
    allowed_paths: tuple[str, ...] = ()
    """What a hardened program may open; in no order."""
    trees: tuple[Tree, ...] = ()


def manifest_of(launch: Launch, digests: DigestCache) -> Manifest:
    """Read what is to be read; a file that `digests` knows is only looked at.

    Raises:
        MeasureError: a file cannot be measured, or the description is not unambiguous.
    """
    watch = Watch(launch.trees, digests)
    watch.look()
    return seen_by(watch, launch)


def seen_by(watch: Watch, launch: Launch) -> Manifest:
    """The manifest of a launch whose trees were just looked at.

    Raises:
        BadLaunchError: the description is not unambiguous.
    """
    return Manifest((*_described(launch), *watch.entries()))


def _described(launch: Launch) -> list[Entry]:
    for pattern in launch.any_value:
        _check_pattern(pattern)
    return [
        *(Entry(Kind.ARGUMENT, str(place), text) for place, text in enumerate(launch.command)),
        *(
            Entry(Kind.VARIABLE, name, value)
            for name, value in launch.variables.items()
            if not any(fnmatch.fnmatchcase(name, pattern) for pattern in launch.any_value)
        ),
        *(Entry(Kind.ANY_VALUE, pattern) for pattern in {*launch.any_value}),
        *(Entry(Kind.ALLOWED_PATH, path) for path in {*launch.allowed_paths}),
    ]


def _check_pattern(pattern: str) -> None:
    """Refuse what would hide a variable that decides which code runs."""
    hidden = [name for name in _LOADERS if fnmatch.fnmatchcase(name, pattern)]
    if hidden or pattern.startswith(("LD_", "PYTHON")):
        names = ", ".join(hidden) or pattern
        raise BadLaunchError(f"{names} decides which code runs, so its value must be measured")
