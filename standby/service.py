"""What `python -m <part>` does: settings from the environment, logs, one event loop, a clean end on SIGTERM.

Exit codes: 0 asked to end by a signal, and did; the others are in `standby.exit_codes`. A signal says neither who sent
it nor why, so a supervisor starts a part that ended with 0 again. Signal handlers only set an event.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

import uvloop
from msgspec import Struct

from standby import logs, settings
from standby.exit_codes import EXIT_CONFIG, EXIT_FAILED

READY_FD: Final = "STANDBY_READY_FD"
"""Names a descriptor in the environment; see `serves`."""
SettingsT = TypeVar("SettingsT", bound=Struct)
Main = Callable[[SettingsT, asyncio.Event], Awaitable[int | None]]
"""Runs the part until the event is set; returns its exit status, None for 0."""


def help_text(cls: type[Struct], prefix: str) -> str:
    """Every setting with unit, default and meaning, for `--help`."""
    lines = ["settings (environment variables):"]
    for doc in settings.describe(cls, prefix):
        unit = f" {doc.unit}" if doc.unit and doc.default not in {"none", "required"} else ""
        lines += [
            f"  {doc.variable}  [{doc.kind}, {doc.default}{unit}]",
            f"      {doc.description}",
        ]
    return "\n".join(lines)


def run(
    part: str,
    description: str,
    cls: type[SettingsT],
    prefix: str,
    main: Main[SettingsT],
    prepare: Callable[[SettingsT], None] = lambda _loaded: None,
) -> int:
    """Run one part until SIGTERM or SIGINT; returns its exit status. `prepare` runs before there is an event loop."""
    if given := sys.argv[1:]:
        _answer(given, part, description, help_text(cls, prefix))
    try:
        configure_logs(part, prefix)
    except settings.SettingsError as error:
        return cannot_work(part, error)
    return live(part, lambda: settings.load(cls, prefix, os.environ), main, prepare)


def configure_logs(part: str, prefix: str) -> None:
    """At the level that the environment says.

    Raises:
        SettingsError: there is no such level; records of the others are made all the same.
    """
    logs.configure(part)
    logs.configure(part, logs.level_of(prefix, os.environ))


def cannot_work(part: str, error: settings.SettingsError) -> int:
    """Say so in the log and in one line for whoever started the part; returns the exit status."""
    logs.EventLog(part).error("settings_unusable", text=str(error))
    print(f"{part}: {error}", file=sys.stderr)
    return EXIT_CONFIG


def live(
    part: str,
    load: Callable[[], SettingsT],
    main: Main[SettingsT],
    prepare: Callable[[SettingsT], None] = lambda _loaded: None,
) -> int:
    """What `run` does once logs are configured, for a process that was forked from one in which they are."""
    try:
        loaded = load()
        prepare(loaded)
        return uvloop.run(_until_signal(main, loaded)) or 0
    except settings.SettingsError as error:
        return cannot_work(part, error)
    except Exception as error:  # noqa: BLE001  # logged whole, and the exit status says it
        logs.EventLog(part).error("part_failed", error=error)
        return EXIT_FAILED


def _answer(arguments: Sequence[str], part: str, description: str, settings_help: str) -> None:
    """Show the help that was asked for, or refuse other arguments; both end the program.

    Without arguments none of this is made: it would cost each waiting server more than a megabyte.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m {part}",
        description=description,
        epilog=settings_help,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args(arguments)


def serves() -> None:
    """Tell whoever started this part that it serves now: a line to the descriptor that it was given, if it was."""
    if text := os.environ.pop(READY_FD, ""):
        with open(int(text), "wb", buffering=0) as file, contextlib.suppress(BrokenPipeError):  # noqa: PTH123  # a descriptor
            file.write(b"\n")


async def _until_signal(main: Main[SettingsT], loaded: SettingsT) -> int | None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return await main(loaded, stop)
