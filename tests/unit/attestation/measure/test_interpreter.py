"""An interpreter says what it would import; all of that becomes trees."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import msgspec
import pytest

from attestation.measure.errors import InterpreterError
from attestation.measure.interpreter import (
    NO_BYTECODE,
    Interpreter,
    ask,
    options,
    surroundings,
    trees,
)
from attestation.measure.tree import Tree

PYTHON = [sys.executable, "-S", "-m", "anything"]
LAUNCHED = Interpreter(
    started="/venv/bin/python",
    executable="/usr/bin/python",
    prefix="/venv",
    standard_library="/usr/lib/python",
    configuration="/usr/lib/python/config",
    path=("/usr/lib/python", "/venv/packages"),
    packages={"server": "/src/server"},
    bytecode=None,
    mapped=("/lib/libc.so.6", "/usr/bin/python", "/usr/local/libc.so.6", "/venv/packages/x.so"),
)


@pytest.mark.parametrize(
    ("command", "found"),
    [
        (["python", "-m", "server", "-I"], []),
        (["python", "-I", "-X", "dev", "-mserver"], ["-I", "-X", "dev"]),
        (["python", "-BW", "error", "server.py"], ["-BW"]),
        (
            ["python", "--check-hash-based-pycs", "always", "-"],
            ["--check-hash-based-pycs", "always"],
        ),
        (["python", "-X"], ["-X"]),
        (["python"], []),
    ],
)
def test_options_of_the_interpreter_end_where_its_program_begins(
    command: list[str], found: list[str]
) -> None:
    assert options(command) == found


def test_an_interpreter_says_what_it_imports(tmp_path: Path) -> None:
    answer = ask(PYTHON, {**NO_BYTECODE, "PYTHONPATH": str(tmp_path)}, ())
    assert answer.started == sys.executable
    assert answer.executable == str(Path(sys.executable).resolve())
    assert answer.path[0] == str(tmp_path)
    assert answer.standard_library == sysconfig.get_path("stdlib")
    assert answer.standard_library in answer.path
    assert answer.bytecode == NO_BYTECODE["PYTHONPYCACHEPREFIX"]
    assert any("libc.so" in each for each in answer.mapped)


def test_an_interpreter_that_ignores_the_variable_reads_caches() -> None:
    assert ask([PYTHON[0], "-I", *PYTHON[1:]], NO_BYTECODE, ()).bytecode is None


def test_modules_are_imported_to_see_their_libraries(tmp_path: Path) -> None:
    (tmp_path / "loader.py").write_text("import _decimal")
    environ = {**NO_BYTECODE, "PYTHONPATH": str(tmp_path)}
    found = ask(PYTHON, environ, ["loader"]).mapped
    assert any("_decimal" in Path(each).name for each in found)
    assert not any("_decimal" in Path(each).name for each in ask(PYTHON, environ, ()).mapped)


def test_without_bytecode_none_is_read_or_written(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text("print('source')")
    command = [sys.executable, "-S", "-c", "import module"]
    subprocess.run(command, cwd=tmp_path, env={}, check=True, capture_output=True)
    (cache,) = (tmp_path / "__pycache__").iterdir()
    planted = tmp_path / "planted.py"
    planted.write_text("print('cached')")
    plant = "import py_compile as p, sys; p.compile(sys.argv[1], sys.argv[2], invalidation_mode="
    plant += "p.PycInvalidationMode.UNCHECKED_HASH)"
    planting = [sys.executable, "-S", "-c", plant, str(planted), str(cache)]
    subprocess.run(planting, env={}, check=True)

    def said(environ: dict[str, str]) -> bytes:
        return subprocess.run(
            command, cwd=tmp_path, env=environ, check=True, capture_output=True
        ).stdout

    assert said({}) == b"cached\n"
    assert said(NO_BYTECODE) == b"source\n"
    assert [*(tmp_path / "__pycache__").iterdir()] == [cache]


@pytest.mark.parametrize(
    ("command", "modules", "text"),
    [
        (["/nonexistent/python"], (), "cannot ask /nonexistent/python"),
        (["/bin/false"], (), "/bin/false ended, and said: nothing"),
        (["/bin/true"], (), "cannot ask /bin/true"),
        (PYTHON, ("no_such_module",), "No module named 'no_such_module'"),
    ],
)
def test_an_interpreter_that_does_not_answer_is_named(
    command: list[str], modules: tuple[str, ...], text: str
) -> None:
    with pytest.raises(InterpreterError, match=text):
        ask(command, {}, modules)


def test_all_that_is_imported_becomes_trees() -> None:
    found = {each.name: each for each in trees(LAUNCHED)}
    paths = {name: each.path for name, each in found.items()}
    assert paths == {
        "interpreter": "/venv/bin/python",
        "pyvenv.cfg": "/venv/pyvenv.cfg",
        "ld.so.preload": "/etc/ld.so.preload",
        "path/0": "/usr/lib/python",
        "path/1": "/venv/packages",
        "package/server": "/src/server",
        "library/libc.so.6": "/lib/libc.so.6",
        "library/libc.so.6#2": "/usr/local/libc.so.6",
    }
    assert {"test", "config"} <= {*found["path/0"].omitted}
    assert found["path/1"].omitted == ()


def test_caches_are_measured_where_they_are_read(tmp_path: Path) -> None:
    def kept(bytecode: str | None) -> dict[str, Tree]:
        asked = msgspec.structs.replace(LAUNCHED, bytecode=bytecode)
        return {each.name: each for each in trees(asked)}

    beside, apart = kept(None), kept(str(tmp_path))
    assert beside["path/1"].bytecode
    assert "bytecode" not in beside
    assert not apart["path/1"].bytecode
    assert not apart["package/server"].bytecode
    assert apart["bytecode"].path == str(tmp_path)
    assert apart["bytecode"].bytecode


def test_caches_that_are_guarded_are_not_measured(tmp_path: Path) -> None:
    asked = msgspec.structs.replace(LAUNCHED, bytecode=str(tmp_path))
    found = {each.name: each for each in trees(asked, guarded=True)}
    assert "bytecode" not in found
    assert not found["path/1"].bytecode


def test_the_users_own_packages_count_before_they_are_there(tmp_path: Path) -> None:
    environ = {**NO_BYTECODE, "PYTHONUSERBASE": str(tmp_path)}
    base = str(Path(sys.base_prefix, "bin", "python3"))
    path = ask([base, "-m", "anything"], environ, ()).path
    assert not any(tmp_path.iterdir())
    assert any(each.startswith(f"{tmp_path}/") for each in path)
    path = ask([base, "-s", "-m", "anything"], environ, ()).path
    assert not any(each.startswith(f"{tmp_path}/") for each in path)


def test_the_answer_depends_on_what_is_beside_the_program_and_its_libraries() -> None:
    assert surroundings(LAUNCHED) == (
        "/lib",
        "/usr/bin",
        "/usr/local",
        "/venv/bin",
        "/etc/ld.so.cache",
    )


def test_a_module_of_an_editable_install_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "single.py").write_text("")
    asked = msgspec.structs.replace(LAUNCHED, packages={"single": str(tmp_path / "single")})
    paths = {each.name: each.path for each in trees(asked)}
    assert paths["package/single"] == str(tmp_path / "single.py")
