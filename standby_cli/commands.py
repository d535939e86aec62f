"""What every command of the project does the same way: a result as data, an end by signal, errors in one line."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import msgspec

from standby import settings
from standby.approach import Approach
from standby.errors import PlatformError, words
from standby.settings import SettingsError
from standby_cli import places
from standby_cli.echo import echo
from standby_cli.errors import CommandError, status_of
from standby_cli.layout import default_directory
from standby_cli.settings import PREFIX, Settings

INTERRUPTED: Final = 130
"""Exit status."""


def _in_a_directory(
    _context: click.Context, _parameter: click.Parameter, file: Path | None
) -> Path | None:
    if file and not file.absolute().parent.is_dir():
        raise click.BadParameter(f"there is no directory {file.parent}")
    return file


json_file = click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_in_a_directory,
    help="Also write the result as data to this file.",
)
"""An option whose place is checked before the work begins."""


def _usable(_context: click.Context, _parameter: click.Parameter, path: Path) -> Path:
    """Also for commands that only read: what another account wrote there would be believed."""
    settings.load(Settings, PREFIX, os.environ)
    if len(str(path.absolute()).split()) != 1:
        raise click.BadParameter(f"{path.absolute()}: servers cannot be told a path with a space")
    places.refuse_foreign(path.absolute())
    return path


state_dir = click.option(
    "--state-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=default_directory,
    callback=_usable,
    show_default="$STANDBY_STATE_DIR, else ~/.local/state/standby",
    help="Where the platform keeps all it writes.",
)
approach = click.option(
    "--approach",
    type=click.Choice([each.value for each in Approach]),
    default=Approach.STANDBY.value,
    show_default=True,
    help="How servers come to users.",
)


def say(text: str) -> None:
    """One line about what is going on."""
    echo(text, err=True)


def write_json(result: object, file: Path) -> None:
    file.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """While the context lasts SIGTERM ends the command as Ctrl-C does, with everything cleaned up."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def run(command: click.Command, name: str) -> None:
    """Run it to its end; an error that is no fault of the program is one line and an exit status."""
    try:
        command.main(prog_name=name, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(INTERRUPTED)
    except (CommandError, PlatformError, SettingsError, OSError) as error:
        echo(f"{name}: {words(error)}", err=True)
        sys.exit(status_of(error))
