"""A measurement that is kept spares the next process the work, as long as nothing differs, and decides nothing."""

import os
import secrets
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from app_wrapper.measuring import LaunchMeter, store
from app_wrapper.measuring.store import Store
from app_wrapper.settings import LauncherKind
from attestation.measure import interpreter
from attestation.measure.interpreter import Interpreter
from attestation.sealing import Sealed
from tests.unit.app_wrapper.test_measuring import Tiny, launched


class Kept:
    """A tiny application, a place where its measurement is kept, and how often its interpreter was asked."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tiny = Tiny(directory)
        self.directory = directory / "kept"
        self.seal = Sealed(secrets.token_bytes(32))
        self.asked = 0
        ask = interpreter.ask

        def counted(
            command: Sequence[str], environ: dict[str, str], modules: Sequence[str]
        ) -> Interpreter:
            self.asked += 1
            return ask(command, environ, modules)

        monkeypatch.setattr(interpreter, "ask", counted)

    @property
    def store(self) -> Store:
        return Store(self.directory, self.seal)

    def platform(self) -> LaunchMeter:
        """Measures for the platform, and keeps what it finds."""
        return self._meter(self.store.bytecode)

    def wrapper(self) -> LaunchMeter:
        """Reads what is kept; has bytecode of its own."""
        return self._meter(self.tiny.bytecode)

    def _meter(self, bytecode: Path) -> LaunchMeter:
        tiny = self.tiny
        return LaunchMeter(tiny.file, LauncherKind.SPAWN, tiny.environ, bytecode, self.store)

    def afresh(self) -> str:
        """The measurement, by a meter that knows nothing."""
        tiny, bytecode = self.tiny, self.directory.with_name("fresh")
        found = LaunchMeter(tiny.file, LauncherKind.SPAWN, tiny.environ, bytecode).prepare()
        self.asked -= 1
        return found


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    """The platform has measured all files."""
    made = Kept(tmp_path, monkeypatch)
    launched()  # what has just changed is not measured
    made.platform().prepare()
    assert made.asked == 1
    return made


def test_the_next_process_asks_no_interpreter_and_measures_the_same(kept: Kept) -> None:
    measurement = kept.afresh()
    assert kept.platform().prepare() == measurement
    wrapper = kept.wrapper()
    assert wrapper.prepare() == measurement
    assert kept.asked == 1
    assert wrapper.measure(time.time() + 1) == measurement


def test_servers_have_the_bytecode_that_was_kept(kept: Kept) -> None:
    wrapper = kept.wrapper()
    wrapper.prepare()
    assert (
        kept.tiny.compiled().read_bytes() == next(kept.directory.rglob("tiny.*.pyc")).read_bytes()
    )
    assert kept.tiny.says(wrapper) == "1"


def test_what_is_kept_belongs_to_no_place(kept: Kept) -> None:
    """A platform's state may be moved, and its variables that only say where something is."""
    moved = kept.directory.with_name("moved")
    shutil.copytree(kept.directory, moved)
    kept.directory = moved
    kept.tiny.environ["TMPDIR"] = "/elsewhere"
    assert kept.wrapper().prepare() == kept.afresh()
    assert kept.asked == 1


def _module(kept: Kept) -> None:
    kept.tiny.module.write_text("SAYS = 2\n")


def _module_with_its_times(kept: Kept) -> None:
    status = kept.tiny.module.stat()
    kept.tiny.module.write_text("SAYS = 2\n")
    os.utime(kept.tiny.module, ns=(status.st_atime_ns, status.st_mtime_ns))


def _module_exchanged_and_put_back(kept: Kept) -> None:
    aside = kept.tiny.module.with_suffix(".aside")
    kept.tiny.module.rename(aside)
    aside.rename(kept.tiny.module)


def _another_file(kept: Kept) -> None:
    (kept.tiny.module.parent / "other.py").touch()


def _application(kept: Kept) -> None:
    kept.tiny.file.write_text(kept.tiny.file.read_text() + "\n")


def _variable(kept: Kept) -> None:
    kept.tiny.environ["TINY_SETTING"] = "2"


def _home(kept: Kept) -> None:
    kept.tiny.environ["HOME"] = str(kept.directory)


def _bytecode(kept: Kept) -> None:
    file = next(kept.directory.rglob("tiny.*.pyc"))
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def _more_bytecode(kept: Kept) -> None:
    (kept.store.bytecode / "sitecustomize.pyc").touch()


def _no_bytecode(kept: Kept) -> None:
    shutil.rmtree(kept.store.bytecode)


def _another_seal(kept: Kept) -> None:
    kept.seal = Sealed(secrets.token_bytes(32))


def _half_a_record(kept: Kept) -> None:
    file = kept.directory / "record"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _no_record(kept: Kept) -> None:
    (kept.directory / "record").write_bytes(kept.seal.close(b"{}"))


@pytest.mark.parametrize(
    "change",
    [
        _module,
        _module_with_its_times,
        _module_exchanged_and_put_back,
        _another_file,
        _application,
        _variable,
        _home,
        _bytecode,
        _more_bytecode,
        _no_bytecode,
        _another_seal,
        _half_a_record,
        _no_record,
    ],
)
@pytest.mark.parametrize("who", [Kept.platform, Kept.wrapper])
def test_when_anything_differs_all_is_made_anew(
    kept: Kept, who: Callable[[Kept], LaunchMeter], change: Callable[[Kept], None]
) -> None:
    change(kept)
    launched()
    meter = who(kept)
    assert meter.prepare() == kept.afresh()
    assert kept.asked == 2
    expected = "2" if change in {_module, _module_with_its_times} else "1"
    assert kept.tiny.says(meter) == expected


def test_what_is_kept_is_good_until_the_machine_boots_again(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "boot_id"
    other.write_text("another one\n")
    monkeypatch.setattr(store, "_BOOT", other)
    assert kept.wrapper().prepare() == kept.afresh()
    assert kept.asked == 2


def test_a_wrapper_keeps_nothing_for_others(kept: Kept) -> None:
    before = (kept.directory / "record").read_bytes()
    _variable(kept)
    kept.wrapper().prepare()
    assert (kept.directory / "record").read_bytes() == before


def test_a_place_that_cannot_be_written_costs_time_and_nothing_else(kept: Kept) -> None:
    record = kept.directory / "record"
    record.unlink()
    record.mkdir()
    (record / "in the way").touch()
    assert kept.platform().prepare() == kept.afresh()
    assert kept.asked == 2
