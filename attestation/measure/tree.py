"""What is measured of the disk: files below a directory, by names that do not say where the directory is.

A link counts as what it leads to: its content as a file's, its directory's files below its own name. That is how a
program that reads through it sees it, and a switched link is a difference in what is read. A link that leads nowhere is
measured as absent. Directories without a file are nothing: Python imports nothing from them.
"""

from typing import Final

from msgspec import Struct

BYTECODE: Final = "__pycache__"


class Tree(Struct, frozen=True, kw_only=True):
    """A file, or a directory with all below it, or a place where either could be."""

    name: str
    """What stands for `path` in the measurement."""
    path: str
    omitted: tuple[str, ...] = ()
    """Directories right below it whose files are not measured; the measurement says so."""
    bytecode: bool = True
    """Whether directories named `__pycache__` are read by the launch, and so are measured."""
