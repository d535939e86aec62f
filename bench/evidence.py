"""Where the files of a run lie, and whether they stay."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from standby_cli import commands

INCONCLUSIVE: Final = 3
"""Exit status of a run that says too little, and is no failure."""
keep = click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    callback=lambda _context, _parameter, path: _checked(path),
    help="Keep the run's files in this directory, which must be new or empty.",
)
"""An option whose place is checked before the work begins."""


def _checked(path: Path | None) -> Path | None:
    if path and len(str(path.absolute()).split()) != 1:
        raise click.BadParameter(f"{path.absolute()}: servers cannot be told a path with a space")
    if path and path.exists() and any(path.iterdir()):
        raise click.BadParameter(f"{path} is not empty")
    return path


@contextmanager
def directory(kept: Path | None, prefix: str) -> Iterator[Path]:
    """The run's directory: kept if asked for, or else removed at the end. As /proc names it, without links."""
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept.resolve()
        return
    root = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        yield root.resolve()
    finally:
        shutil.rmtree(root)


def exit_status(*, failed: bool, interrupted: bool, inconclusive: bool) -> int:
    """Of a program that looks for wrongs: one that was found is said first, then that the run is not whole."""
    if failed:
        return 1
    if interrupted:
        return commands.INTERRUPTED
    return INCONCLUSIVE if inconclusive else 0
