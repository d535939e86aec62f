"""All that belongs to one measurement: made from an interpreter's answer, looked at again as fast as files allow."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from msgspec import structs

from app_wrapper.application import Application
from app_wrapper.measuring import launch
from app_wrapper.measuring.bytecode import Guard
from app_wrapper.measuring.launch import Question
from app_wrapper.settings import LauncherKind
from attestation.measure.digests import DigestCache
from attestation.measure.interpreter import Interpreter
from attestation.measure.launch import seen_by
from attestation.measure.manifest import Manifest, measure
from attestation.measure.seen import Key, Seen, changed_at, key_of
from attestation.measure.watch import Watch


@dataclass(frozen=True, slots=True)
class Made:
    """What was found, and how to see whether it is still so."""

    answer: Interpreter
    manifest: Manifest
    measurement: str
    watch: Watch
    surroundings: dict[str, Key | None]
    guard: Guard | None
    before: int
    """Nanoseconds of Unix time. What was measured had changed before this moment for the last time."""

    def look(self) -> Seen:
        """Look at all but the bytecode; if it has changed, all has to be made anew.

        Raises:
            MeasureError: a file cannot be measured.
        """
        seen = self.watch.look()
        seen.changed |= any(_key(path) != key for path, key in self.surroundings.items())
        for path in self.surroundings:
            seen.take(changed_at(path))
        return seen

    def settled(self, seen: Seen) -> bool:
        """Whether this look found nothing that has changed since it was measured, or had just changed then."""
        return not seen.changed and seen.newest < self.before

    def newest(self, seen: Seen) -> int:
        """When anything last changed, with the bytecode.

        Raises:
            BytecodeError: bytecode is not as it was made.
        """
        if self.guard is None:
            return seen.newest
        self.guard.look()
        return max(seen.newest, self.guard.newest)

    def newer(self, limit: int) -> Iterator[str]:
        yield from self.watch.newer(limit)
        yield from (path for path in self.surroundings if changed_at(path) >= limit)
        if self.guard is not None:
            yield from self.guard.newer(limit)


@dataclass(frozen=True, slots=True)
class Subject:
    """What is measured: an application, as a wrapper with these variables launches it."""

    app: Application
    app_dir: Path
    launcher: LauncherKind
    environ: Mapping[str, str]
    bytecode: Path | None
    """Where the bytecode is that servers use; None: nowhere."""

    def question(self) -> Question:
        """What its interpreter is asked.

        Raises:
            ApplicationError: it has no template.
        """
        return launch.question_of(self.app, self.app_dir, self.launcher, self.environ)

    def key(self) -> Question:
        """The question as far as its answer can depend on it.

        Variables that only say where something is kept are left out, but HOME: below it Python looks for packages of
        the user's own.
        """
        asked, places = self.question(), self.app.attestation.places
        depends = {
            name: value
            for name, value in asked.variables.items()
            if name == "HOME" or not any(fnmatchcase(name, each) for each in places)
        }
        return structs.replace(asked, variables=depends)

    def made(self, answer: Interpreter, before: int, digests: DigestCache) -> Made:
        """Read what is to be read; the caller looks whether it has changed since `before`.

        Raises:
            MeasureError: a file cannot be measured.
        """
        described = launch.described(self.app, self.app_dir, self.launcher, self.environ, answer)
        watch = Watch(described.launch.trees, digests)
        surroundings = {path: _key(path) for path in described.surroundings}
        watch.look()
        manifest = seen_by(watch, described.launch)
        guard = Guard(self.bytecode, digests) if self.bytecode else None
        return Made(answer, manifest, measure(manifest), watch, surroundings, guard, before)


def _key(path: str) -> Key | None:
    try:
        return key_of(os.lstat(path))
    except OSError:
        return None
