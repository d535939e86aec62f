"""What is looked at first, because it needs nothing of a platform: the environment's settings, and places on the disk.

settings   every variable with the prefix of a part names one of its settings, and its text can be used
places     state directory and seal key can be changed by this account alone; the file system does what is needed
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

import app_wrapper.settings
import lb_lua.settings
import routing_manager.settings
import standby_cli.settings
from standby import logs, settings
from standby.settings import SettingsError
from standby_cli import places
from standby_cli.layout import Layout

_KINDS: Final[Mapping[str, type[Struct]]] = {
    routing_manager.settings.PREFIX: routing_manager.settings.Settings,
    app_wrapper.settings.PREFIX: app_wrapper.settings.Settings,
    lb_lua.settings.PREFIX: lb_lua.settings.Settings,
    standby_cli.settings.PREFIX: standby_cli.settings.Settings,
}


def check(layout: Layout) -> None:
    """Look at the settings in the environment, then at the places.

    Raises:
        SettingsError, ConfigurationError: see below.
    """
    check_settings(os.environ)
    check_places(layout)


def check_settings(environ: Mapping[str, str]) -> None:
    """Look at each variable by itself.

    Raises:
        SettingsError: the first that is unknown or wrong.
    """
    known = frozenset[str]().union(*(settings.names(cls, each) for each, cls in _KINDS.items()))
    settings.refuse_unknown(environ, tuple(_KINDS), known)
    if odd := next(_oddly_written(environ, known), None):
        raise SettingsError("there is no setting {}; did you mean {}?".format(*odd))
    for prefix, cls in _KINDS.items():
        settings.check_given(cls, prefix, environ)
        logs.level_of(prefix, environ)


def _oddly_written(environ: Mapping[str, str], known: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Variables that differ from known ones only in underscores and capitals, with these."""
    plain = {name.replace("_", ""): name for name in known}
    for variable in sorted(environ):
        meant = plain.get(variable.replace("_", "").upper())
        if meant and variable != meant and environ[variable]:
            yield variable, meant


def check_places(layout: Layout) -> None:
    """Look at the directories that there are, and try those on different file systems.

    Raises:
        ConfigurationError: one of them cannot be used.
    """
    for place in (*layout.directories(), layout.seal_key):
        places.refuse_foreign(place)
    devices = set[int]()
    for directory in layout.directories():
        if (device := _device(directory)) not in devices:
            devices.add(device)
            places.refuse_useless(directory)


def _device(directory: Path) -> int:
    """Of the file system in which it is, or would be made."""
    for each in (directory, *directory.parents):
        with contextlib.suppress(OSError):
            return each.stat().st_dev
    return 0
