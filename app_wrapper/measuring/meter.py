"""Measures launches for a wrapper, each as fast as looking at the files allows.

What was measured is remembered, with what the kernel says about each file. While all of that is as it was, the
measurement is, and is not made again: one `lstat` for each file. When anything differs, everything is made anew, with
the interpreter's answer and the bytecode, as if the wrapper had just been started. So an answer, a measurement and the
bytecode are always of the same files.

Strict: what changed when the server was launched, or later, refuses the server, since it may have loaded something
else. The next server is launched after that change, and is measured with it. When bytecode was made anew because of a
change, that counts as one, too: servers that were launched before it are refused.

Times of files come from a clock that lags behind the one that `since` comes from by up to a tick of the kernel (10 ms
at 100 Hz; CLOCK_REALTIME_COARSE), so what changed up to `LAG` before a launch is taken for later. Not noticed: what
changed while the system's clock was set back, or on a file system whose times another machine gives (NFS) and that lags
by more.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Final

from msgspec import structs

from app_wrapper import application
from app_wrapper.measuring import bytecode
from app_wrapper.measuring.launch import answer_to, variables
from app_wrapper.measuring.made import Made, Subject
from app_wrapper.measuring.store import Store
from app_wrapper.settings import LauncherKind
from attestation.measure.digests import DigestCache
from attestation.measure.errors import (
    BytecodeError,
    ChangedWhileStartingError,
    MeasureError,
)
from attestation.measure.manifest import Difference, Kind, Manifest, explain
from standby.logs import EventLog

LAG: Final = 0.02
"""Seconds; two ticks of the slowest kernel."""
_SECOND: Final = 1_000_000_000
_TRIES: Final = 3
"""To make everything, while files change."""
_FEW: Final = 3
"""Names in a text."""
_REMEMBERED: Final = 4
"""Manifests of earlier measurements, for saying what differs."""
_SHORT: Final = 12
"""Digits of a digest in a text; logs blank whole ones, which could be keys."""
log = EventLog(__name__)


class LaunchMeter:
    """For several threads; all of it blocks."""

    def __init__(
        self,
        app_file: Path,
        launcher: LauncherKind,
        environ: Mapping[str, str],
        bytecode_dir: Path | None = None,
        store: Store | None = None,
    ) -> None:
        """Measure launches of this application by a wrapper with these variables.

        Args:
            app_file: The application's `app.toml`.
            launcher: How its servers are started; with `fork` their template is measured.
            environ: The wrapper's variables.
            bytecode_dir: For bytecode; what is in it is deleted. None: there is none, and nothing is guarded.
            store: Where an earlier measurement may be kept; None: nowhere.

        Raises:
            ApplicationError: the file cannot be used, or names no template.
        """
        app = application.load(app_file)
        self.variables: Mapping[str, str] = (
            variables(app, launcher, str(bytecode_dir)) if bytecode_dir else {}
        )
        """What servers, or the template, are to be started with besides what `app.toml` says."""
        guarded = bytecode_dir if self.variables else None
        self._subject = Subject(app, app_file.parent, launcher, dict(environ), guarded)
        self._store = store
        self._digests = DigestCache()
        self._lock = threading.Lock()
        self._made: Made | None = None
        self._looked_at = 0.0
        self._newest = 0
        self._known: dict[str, Manifest] = {}

    def prepare(self) -> str:
        """Ask the interpreter, fill the bytecode directory and read every file, in about three seconds.

        All of that is spared where a measurement is kept that still holds. A new one is kept, if the directory of
        bytecode is the store's own.

        Returns:
            The measurement of a launch from now on, if nothing changes.

        Raises:
            MeasureError: the launch cannot be measured.
        """
        with self._lock:
            made = self._recalled()
            if made is None:
                made = self._make()
                if self._store is not None and self._store.bytecode == self._subject.bytecode:
                    self._store.keep(made, self._subject, self._digests)
            return made.measurement

    @property
    def manifest(self) -> Manifest:
        """What was measured last."""
        with self._lock:
            if self._made is None:
                raise RuntimeError("nothing was measured yet")
            return self._made.manifest

    def present(self) -> str:
        """The measurement of a launch from now on, if nothing changes; as fast as a look where nothing has.

        Raises:
            MeasureError: the launch cannot be measured.
        """
        with self._lock:
            return self._look().measurement

    def measure(self, since: float) -> str:
        """The measurement of what was launched at `since` (Unix seconds) and is loaded by now: 64 hex digits.

        Raises:
            ChangedWhileStartingError: a file changed since then; what was loaded is not known.
            BytecodeError: somebody changed the bytecode.
            MeasureError: the launch cannot be measured.
        """
        asked_at = time.monotonic()
        with self._lock:
            if self._made is None or self._looked_at < asked_at:
                self._look()
            return self._checked(since).measurement

    def reason_for(self, expected: str | Manifest) -> str:
        """What differs between an expected measurement and the present one, for people; empty if nothing does."""
        with self._lock:
            if self._made is None:
                return "nothing was measured yet"
            if isinstance(expected, Manifest):
                return _reason(expected, self._made.manifest)
            if expected not in self._known:
                return f"it is not known what measures as {expected[:_SHORT]}"
            return _reason(self._known[expected], self._made.manifest)

    def _look(self) -> Made:
        """Look at everything, and make it anew where something differs."""
        made, self._made = self._made, None
        self._looked_at = time.monotonic()
        if made is None or (seen := made.look()).changed:
            return self._make()
        try:
            self._newest = made.newest(seen)
        except BytecodeError as error:
            log.error("bytecode_changed", text=str(error))
            self._make()
            raise
        self._made = made
        return made

    def _checked(self, since: float) -> Made:
        """What was made, if nothing of it has changed since then."""
        if self._made is None:
            raise RuntimeError("nothing is checked before it is looked at")
        limit = _nanoseconds(since)
        if self._newest >= limit:
            names = _names(self._made.newer(limit))
            raise ChangedWhileStartingError(
                f"changed while the server was starting, so what it loaded is not known: {names}"
            )
        return self._made

    def _recalled(self) -> Made | None:
        """What is kept of an earlier measurement, if it still holds."""
        if self._store is None:
            return None
        made = self._store.recall(self._subject, self._digests)
        try:
            if made is None or not made.settled(seen := made.look()):
                return None
            self._newest = made.newest(seen)
        except MeasureError:
            return None
        self._remember(made)
        self._made = made
        return made

    def _make(self) -> Made:
        """Make everything, from files that did not change meanwhile."""
        self._made, names = None, ""
        for _ in range(_TRIES):
            limit = _nanoseconds(time.time())
            if self._subject.bytecode is not None:
                bytecode.empty(self._subject.bytecode)
            answer = answer_to(self._subject.question(), self._subject.bytecode)
            made = self._subject.made(answer, limit, self._digests)
            if made.settled(seen := made.look()):
                self._remember(made)
                self._made, self._newest = made, made.newest(seen)
                return made
            names = _names(made.newer(limit))
        raise ChangedWhileStartingError(f"files change while they are measured: {names}")

    def _remember(self, made: Made) -> None:
        last = next(reversed(self._known), None)
        self._known.pop(made.measurement, None)
        self._known[made.measurement] = made.manifest
        if last is not None and last != made.measurement:
            text = _reason(self._known[last], made.manifest)
            log.warning("launch_changed", now=made.measurement[:_SHORT], text=text)
        while len(self._known) > _REMEMBERED:
            del self._known[next(iter(self._known))]


def _nanoseconds(since: float) -> int:
    """Files whose last change has this time or a later one may have changed since then."""
    return int((since - LAG) * _SECOND)


def _names(found: Iterator[str]) -> str:
    return ", ".join(islice(found, _FEW)) or "something"


def _reason(before: Manifest, after: Manifest) -> str:
    differing = explain(before, after)
    texts = [_shortened(each).text for each in differing[:_FEW]]
    more = [f"and {len(differing) - _FEW} more"] if len(differing) > _FEW else []
    return "; ".join([*texts, *more])


def _shortened(difference: Difference) -> Difference:
    if difference.kind is not Kind.FILE:
        return difference
    before, after = difference.before, difference.after
    return structs.replace(
        difference, before=before and before[:_SHORT], after=after and after[:_SHORT]
    )
