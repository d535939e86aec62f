"""A directory with the bytecode of what servers import, made once, and guarded from then on.

Python runs a `.pyc` in place of the source that it believes it was made from, and believes it for a time and a size
that anybody can write there. Nor can bytecode be measured: it has times in it, so it is another one at each place.
Without any, each server compiles what it imports, which takes longer than all the rest of its start.

So the wrapper has a directory of its own (mode 0700), lets the interpreter that it asks fill it from the files that are
measured, starting from nothing, and keeps the digest of each file. Whatever differs later, or has changed since a
server was launched, refuses the server. Servers are given the directory and write nothing; what is not in it they
compile.

Bytecode is used for files that measure as those that it was made of, and for no others: when a measured file changes,
all is made anew (see `meter`). Else who exchanges a source while this is made, and puts it back, would have other
bytecode run under the right measurement; and who keeps size and time of a source could have it run old bytecode.

Not promised: anything against who can write here as the wrapper's user in the moment between a file's writing and its
digest. Rejected: bytecode that names the hash of its source, which says nothing of the bytecode itself; compiling each
source again and comparing, which takes seconds.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from attestation.measure.digests import DigestCache
from attestation.measure.errors import BytecodeError, MeasureError, UnreadableError
from attestation.measure.manifest import Difference, Manifest, explain
from attestation.measure.tree import Tree
from attestation.measure.watch import Watch


class Guard:
    """What is in the directory from now on is right."""

    def __init__(self, directory: Path, digests: DigestCache) -> None:
        """Remember what is there.

        Raises:
            MeasureError: it cannot be read.
        """
        self._watch = Watch([Tree(name="bytecode", path=str(directory))], digests)
        self.newest = self._watch.look().newest
        """When anything in it last changed."""
        self.entries = tuple(self._watch.entries())
        """What was there."""

    def look(self) -> None:
        """Look at everything in it.

        Raises:
            BytecodeError: it is not what it was.
        """
        try:
            seen = self._watch.look()
        except MeasureError as error:
            raise BytecodeError(f"bytecode is not as it was made: {error}") from error
        if seen.changed and (differing := self._differing()):
            more = f", and {len(differing) - 1} more" if len(differing) > 1 else ""
            raise BytecodeError(f"bytecode is not as it was made: {differing[0].name}{more}")
        self.newest = seen.newest

    def _differing(self) -> tuple[Difference, ...]:
        return explain(Manifest(self.entries), Manifest(tuple(self._watch.entries())))

    def newer(self, time: int) -> Iterator[str]:
        return self._watch.newer(time)


def empty(directory: Path) -> None:
    """Make it, private and with nothing in it.

    Raises:
        UnreadableError: it cannot be made.
    """
    try:
        if directory.is_dir() and not directory.is_symlink():
            shutil.rmtree(directory)
        # servers with a uid of their own read it, too
        directory.mkdir(mode=0o755 if os.geteuid() == 0 else 0o700, parents=True)
    except OSError as error:
        raise UnreadableError(f"cannot make {directory} for bytecode: {error}") from error
