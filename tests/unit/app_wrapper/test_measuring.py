"""A wrapper measures what its servers are started from, and refuses what may have loaded something else."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app_wrapper import application
from app_wrapper.application import ApplicationError
from app_wrapper.measuring import LaunchMeter
from app_wrapper.measuring.launch import launch_of
from app_wrapper.measuring.meter import LAG
from app_wrapper.settings import LauncherKind
from attestation.measure import interpreter
from attestation.measure.digests import DigestCache
from attestation.measure.errors import (
    BytecodeError,
    ChangedWhileStartingError,
    InterpreterError,
    IrregularFileError,
    UnreadableError,
)
from attestation.measure.interpreter import Interpreter
from attestation.measure.launch import manifest_of
from attestation.measure.manifest import Manifest, explain, measure

APP = """\
name = "tiny"
# without site, so that not everything that is installed for tests is measured
command = ["{python}", "-S", "-m", "tiny"]
template = ["{python}", "-S", "-m", "tiny.template"]
env.set = { TINY_BOOT = "{boot_id}" }
env.pass = ["PYTHON*", "TINY_*"]
attestation.modules = ["tiny"]
"""


class Tiny:
    """An application, and a directory of libraries that it imports from."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "app" / "app.toml"
        self.module = directory / "libraries" / "tiny.py"
        self.bytecode = directory / "state" / "bytecode"
        self.file.parent.mkdir(parents=True)
        self.module.parent.mkdir()
        self.file.write_text(APP)
        self.module.write_text("SAYS = 1\n")
        self.environ = {"PYTHONPATH": str(self.module.parent), "TINY_SETTING": "1"}

    def meter(self, kind: LauncherKind = LauncherKind.SPAWN) -> LaunchMeter:
        return LaunchMeter(self.file, kind, self.environ, self.bytecode)

    def compiled(self) -> Path:
        (found,) = self.bytecode.glob("**/tiny.*.pyc")
        return found

    def says(self, meter: LaunchMeter) -> str:
        """What a program that is launched like this runs."""
        command = [sys.executable, "-S", "-c", "import tiny; print(tiny.SAYS)"]
        environ = {**self.environ, **meter.variables}
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
        return done.stdout.strip()


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    return Tiny(tmp_path)


def launched() -> float:
    """A launch, for which all that was written until now is old."""
    done = time.time() + 2 * LAG
    deadline = time.monotonic() + 5
    while time.time() < done:
        assert time.monotonic() < deadline, "the clock stands still"
    return done


def _same_length_and_time(file: Path, text: str) -> None:
    before = file.stat()
    file.write_text(text)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size


def _measured_next(meter: LaunchMeter) -> str:
    """Of the first server that is not refused; the one that was launched before all was made anew is."""
    with pytest.raises(ChangedWhileStartingError):
        meter.measure(launched())
    return meter.measure(launched())


def test_what_did_not_change_measures_the_same(tiny: Tiny) -> None:
    meter = tiny.meter()
    prepared = meter.prepare()
    assert {meter.measure(launched()), meter.measure(launched()), tiny.meter().prepare()} == {
        prepared
    }
    assert len(prepared) == 64
    assert meter.reason_for(prepared) == ""


def test_a_changed_byte_of_the_application_or_of_a_library_is_another_program(tiny: Tiny) -> None:
    meter = tiny.meter()
    found = [meter.prepare()]
    tiny.file.write_text(APP + "#\n")
    found.append(_measured_next(meter))
    assert meter.reason_for(found[0]).startswith("file app/app.toml: was ")
    tiny.module.write_text("SAYS = 2\n")
    found.append(_measured_next(meter))
    assert meter.reason_for(found[1]).startswith("file path/0/tiny.py: was ")
    assert len({*found}) == 3
    assert meter.reason_for("0" * 64) == "it is not known what measures as 000000000000"


def test_a_changed_byte_of_the_standard_library_is_another_program(tiny: Tiny) -> None:
    genuine = Path(interpreter.ask([sys.executable], {}, ()).standard_library)
    library = tiny.module.parent.parent / "home" / "lib" / genuine.name
    left_out = shutil.ignore_patterns("__pycache__", *interpreter.STANDARD_LIBRARY_OMITTED)
    shutil.copytree(genuine, library, copy_function=os.symlink, ignore=left_out)
    (library / "this.py").unlink()
    shutil.copy(genuine / "this.py", library / "this.py")
    tiny.environ["PYTHONHOME"] = str(library.parent.parent)
    meter = tiny.meter()
    before = meter.prepare()
    with (library / "this.py").open("a") as stream:
        stream.write("\n")
    assert _measured_next(meter) != before
    assert "this.py: was " in meter.reason_for(before)


@pytest.mark.parametrize(
    ("app", "environ", "differs"),
    [
        (APP.replace('"tiny"]\ntem', '"tiny", "now"]\ntem'), {}, "argument 4: new, now"),
        (
            APP.replace("{boot_id}", "{fd}"),
            {},
            "variable TINY_BOOT: was {boot_id}, is {fd}",
        ),
        (APP, {"TINY_SETTING": "2"}, "variable TINY_SETTING: was 1, is 2"),
        (APP, {"TZ": ""}, "variable TZ: new"),
        (APP, {"PYTHONPYCACHEPREFIX": "/elsewhere", "OTHERS": "1", "HOME": "/"}, None),
    ],
    ids=["argument", "own variable", "passed variable", "new variable", "others' variables"],
)
def test_another_argument_or_variable_is_another_program(
    tiny: Tiny, app: str, environ: Mapping[str, str], differs: str | None
) -> None:
    before = _manifest(tiny)
    tiny.file.write_text(app)
    tiny.environ.update(environ)
    after = _manifest(tiny)
    texts = [each.text for each in explain(before, after) if each.name != "app/app.toml"]
    assert texts == ([] if differs is None else [differs])
    assert (measure(before) == measure(after)) == (not explain(before, after))


def _manifest(tiny: Tiny) -> Manifest:
    app = application.load(tiny.file)
    described = launch_of(app, tiny.file.parent, LauncherKind.SPAWN, tiny.environ)
    return manifest_of(described.launch, DigestCache())


def test_a_source_of_the_same_size_and_time_is_noticed_and_its_old_bytecode_is_not_used(
    tiny: Tiny,
) -> None:
    meter = tiny.meter()
    before = meter.prepare()
    _same_length_and_time(tiny.module, "SAYS = 2\n")
    assert tiny.says(meter) == "1"  # this is why: Python believes the bytecode
    assert _measured_next(meter) != before
    assert tiny.says(meter) == "2"


def test_a_source_that_was_put_back_while_a_program_loaded_it_is_noticed(tiny: Tiny) -> None:
    meter = tiny.meter()
    before = meter.prepare()
    since = launched()
    _same_length_and_time(tiny.module, "SAYS = 2\n")
    _same_length_and_time(tiny.module, "SAYS = 1\n")
    with pytest.raises(ChangedWhileStartingError, match=r"path/0/tiny\.py") as refused:
        meter.measure(since)
    assert (refused.value.code, refused.value.retry) == ("changed_while_starting", True)
    assert meter.measure(launched()) == before


def test_a_source_that_was_put_back_while_bytecode_was_made_has_none(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine, asked = interpreter.ask, []

    def exchanged(
        command: Sequence[str], environ: Mapping[str, str], modules: Sequence[str]
    ) -> Interpreter:
        asked.append(tiny.module.read_text())
        if len(asked) > 1:
            return genuine(command, environ, modules)
        _same_length_and_time(tiny.module, "SAYS = 2\n")
        answer = genuine(command, environ, modules)
        _same_length_and_time(tiny.module, "SAYS = 1\n")
        return answer

    launched()
    monkeypatch.setattr(interpreter, "ask", exchanged)
    meter = tiny.meter()
    meter.prepare()
    assert asked == ["SAYS = 1\n"] * 2
    assert tiny.says(meter) == "1"


def test_files_that_change_all_the_time_are_not_measured(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = interpreter.ask

    def busy(*arguments: Sequence[str]) -> Interpreter:
        answer = genuine(*arguments)  # type: ignore[arg-type]  # passed on as they came
        tiny.module.write_text("SAYS = 2\n")
        return answer

    monkeypatch.setattr(interpreter, "ask", busy)
    with pytest.raises(ChangedWhileStartingError, match=r"path/0/tiny\.py"):
        tiny.meter().prepare()


def test_caches_beside_the_sources_are_nobodys_business(tiny: Tiny) -> None:
    meter = tiny.meter()
    before, since = meter.prepare(), launched()
    command = [sys.executable, "-S", "-c", "import tiny"]
    subprocess.run(command, env=tiny.environ, check=True)
    assert (tiny.module.parent / "__pycache__").is_dir()
    assert meter.measure(since) == before


def test_a_module_that_came_and_went_while_a_program_loaded_is_noticed(tiny: Tiny) -> None:
    meter = tiny.meter()
    before, since = meter.prepare(), launched()
    tiny.module.with_name("ssl.py").write_text("")
    tiny.module.with_name("ssl.py").unlink()
    with pytest.raises(ChangedWhileStartingError, match="path/0"):
        meter.measure(since)
    assert meter.measure(launched()) == before


def test_servers_use_bytecode_and_write_none(tiny: Tiny) -> None:
    meter = tiny.meter()
    tiny.bytecode.mkdir(parents=True)
    (tiny.bytecode / "planted").write_text("")
    meter.prepare()
    assert tiny.bytecode.stat().st_mode & 0o022 == 0
    assert not (tiny.bytecode / "planted").exists()
    assert meter.variables == {
        "PYTHONPYCACHEPREFIX": str(tiny.bytecode),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PATH": os.defpath,
    }
    tiny.module.with_name("late.py").write_text("")
    before = sorted(tiny.bytecode.rglob("*"))
    command = [sys.executable, "-S", "-v", "-c", "import tiny, late"]
    done = subprocess.run(
        command, env={**tiny.environ, **meter.variables}, capture_output=True, text=True, check=True
    )
    assert f"code object from '{tiny.compiled()}'" in done.stderr
    assert sorted(tiny.bytecode.rglob("*")) == before


def _change(tiny: Tiny) -> None:
    with tiny.compiled().open("r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        stream.write(b"!")


def _change_and_put_time_back(tiny: Tiny) -> None:
    before = tiny.compiled().stat()
    _change(tiny)
    os.utime(tiny.compiled(), ns=(before.st_atime_ns, before.st_mtime_ns))


def _plant(tiny: Tiny) -> None:
    shutil.copy2(tiny.compiled(), tiny.compiled().with_name("other.cpython-311.pyc"))


def _link(tiny: Tiny) -> None:
    tiny.compiled().with_name("other.pyc").symlink_to(tiny.compiled())


@pytest.mark.parametrize(
    "change",
    [
        _change,
        _change_and_put_time_back,
        _plant,
        _link,
        lambda tiny: tiny.compiled().unlink(),
        lambda tiny: shutil.rmtree(tiny.bytecode),
        lambda tiny: os.mkfifo(tiny.bytecode / "pipe"),
    ],
    ids=["changed", "time put back", "added", "link", "missing", "all missing", "pipe"],
)
def test_bytecode_that_is_not_what_was_made_refuses_the_server(
    tiny: Tiny, change: Callable[[Tiny], None]
) -> None:
    meter = tiny.meter()
    before, made = meter.prepare(), tiny.compiled().read_bytes()
    change(tiny)
    with pytest.raises(BytecodeError, match="not as it was made") as refused:
        meter.measure(launched())
    assert (refused.value.code, refused.value.retry) == ("bytecode_changed", True)
    assert meter.measure(launched()) == before
    assert tiny.compiled().read_bytes() == made


def test_bytecode_that_was_put_back_while_a_program_loaded_it_is_noticed(tiny: Tiny) -> None:
    meter = tiny.meter()
    before, since = meter.prepare(), launched()
    made = tiny.compiled().read_bytes()
    _change(tiny)
    tiny.compiled().write_bytes(made)
    with pytest.raises(ChangedWhileStartingError, match="bytecode/"):
        meter.measure(since)
    assert meter.measure(launched()) == before


def test_another_interpreter_behind_the_same_path_is_noticed(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tiny.file.parent.parent / "bin" / "python"
    link.parent.mkdir()
    link.symlink_to(Path(sys.executable).resolve())
    monkeypatch.setattr(sys, "executable", str(link))
    meter = tiny.meter()
    before, since = meter.prepare(), launched()
    link.rename(link.with_name("aside"))
    link.with_name("aside").rename(link)
    with pytest.raises(ChangedWhileStartingError):
        meter.measure(since)
    assert meter.measure(launched()) == before
    link.with_name("python311._pth.txt").write_text("")
    assert _measured_next(meter) == before  # for it was asked again
    copied = shutil.copy(Path(sys.executable).resolve(), link.with_name("other"))
    with Path(copied).open("ab") as stream:
        stream.write(b"!")
    link.unlink()
    link.symlink_to("other")
    assert _measured_next(meter) != before
    assert "file interpreter: was " in meter.reason_for(before)


def test_of_a_template_its_own_command_is_measured(tiny: Tiny) -> None:
    (tiny.file.parent / "not_imported.py").write_text("")
    fork, spawn = tiny.meter(LauncherKind.FORK), tiny.meter()
    assert fork.prepare() != spawn.prepare()
    assert fork.measure(launched()) != spawn.measure(launched())
    assert fork.variables == spawn.variables
    tiny.file.write_text(APP.replace("template", "# template"))
    with pytest.raises(ApplicationError, match="names no template"):
        tiny.meter(LauncherKind.FORK)


def test_a_program_of_another_kind_has_no_bytecode(tiny: Tiny) -> None:
    tiny.file.write_text(APP.replace("{python}", sys.executable))
    meter = tiny.meter()
    assert meter.variables == {}
    before = meter.prepare()
    assert not tiny.bytecode.exists()
    assert meter.measure(launched()) == before


def test_a_launch_that_cannot_be_measured_yet_is_measured_once_it_can(tiny: Tiny) -> None:
    meter = tiny.meter()
    tiny.module.write_text("import nothing_like_this\n")
    with pytest.raises(InterpreterError, match="nothing_like_this"):
        meter.measure(launched())
    assert meter.reason_for("0" * 64) == "nothing was measured yet"
    tiny.module.write_text("")
    os.mkfifo(tiny.module.with_name("pipe"))
    with pytest.raises(IrregularFileError):
        meter.measure(launched())
    tiny.module.with_name("pipe").unlink()
    assert len(_measured_next(meter)) == 64


def test_where_no_bytecode_can_be_made_nothing_is_measured(tiny: Tiny) -> None:
    tiny.bytecode.parent.write_text("")
    with pytest.raises(UnreadableError, match="for bytecode"):
        tiny.meter().prepare()


def test_servers_that_ask_at_once_share_a_look(tiny: Tiny) -> None:
    meter = tiny.meter()
    before, since = meter.prepare(), launched()
    with ThreadPoolExecutor(8) as threads:
        assert {*threads.map(meter.measure, [since] * 32)} == {before}
        tiny.module.write_text("SAYS = 3\n")
        asked = [threads.submit(meter.measure, since) for _ in range(8)]
    assert {type(each.exception()) for each in asked} == {ChangedWhileStartingError}
