"""Files that are on disk when the call returns: contents, and the directory entries that lead to them."""

import os
from pathlib import Path


def write(file: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a file, which nobody but its owner can read unless the mode says so.

    A new name in its directory needs `sync` of that, too.
    """
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(descriptor)


def replace(file: Path, content: bytes, mode: int = 0o600) -> None:
    """Give a file another content as a whole: after a crash it has the old or the new one."""
    fresh = file.with_name(f".{file.name}")
    fresh.unlink(missing_ok=True)
    write(fresh, content, mode)
    fresh.replace(file)
    sync(file.parent)


def sync(path: Path) -> None:
    """Wait until the file, or the directory's entries, are on disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
