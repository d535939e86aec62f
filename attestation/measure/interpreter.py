"""Where a Python interpreter would import from, and which shared libraries it loads: it is asked.

It is started once, with the variables and options of the launch, and says its path, the caches that it reads and what
is mapped into it. It could lie only if it, its libraries or its start-up files are not what they should be, and these
are measured by who asks, from outside: a lie has another measurement.

Asked for are `sys.path` (with the user's own packages, which count as soon as they are there), and the packages of
editable installs (setuptools' finders, which know a directory for each name). A finder of another kind that imports
from elsewhere is not followed; its own code is measured.

Libraries are those of Python's own extension modules and of the modules that are named to be imported. What other
extension modules load from the system when they are first used is not seen.

Not measured is the directory that `python -m` puts first, the one in which the program is started: a slot's directory,
which is made empty for each server; of a template it is the application's own, which is a tree of its own.
"""

import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from attestation.measure.errors import InterpreterError
from attestation.measure.tree import Tree
from standby import deadlines, decode
from standby.decode import UnreadableError

NO_BYTECODE: Final = {"PYTHONPYCACHEPREFIX": "/dev/null/bytecode"}
"""Variables of a launch that reads no cache and writes none: nothing can be made below a device."""
SEPARATE: Final = {"-X", "-W", "--check-hash-based-pycs"}
"""Options whose value may be the next argument."""
STANDARD_LIBRARY_OMITTED: Final = (
    "ensurepip",
    "idlelib",
    "lib2to3",
    "site-packages",
    "test",
    "tkinter",
    "turtledemo",
)
"""No server imports these, and whether one does is decided by code that is measured. `site-packages` is left out below
the standard library only; where it is imported from, it is a place of its own."""
_PRELOAD: Final = "/etc/ld.so.preload"
_LOADERS_CACHE: Final = "/etc/ld.so.cache"

_QUESTION: Final = """
import importlib, json, os, sys, sysconfig
for name in ("_bz2", "_ctypes", "_hashlib", "_lzma", "_sqlite3", "_ssl", "_uuid", "zlib"):
    try:
        importlib.import_module(name)
    except ImportError:
        pass
finders = [m for n, m in sorted(sys.modules.items()) if n.startswith("__editable___")]
packages = {}
for finder in finders:
    packages.update(getattr(finder, "MAPPING", {}))
site = sys.modules.get("site")
own = [site.USER_SITE] if site and site.ENABLE_USER_SITE and site.USER_SITE not in sys.path else []
path = [each for each in [*sys.path, *own] if os.path.isabs(each)]
for name in sys.argv[1:]:
    importlib.import_module(name)
mapped = set()
with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
    for line in maps:
        fields = line.rstrip("\\n").split(maxsplit=5)
        if len(fields) == 6 and "x" in fields[1] and fields[5].startswith("/"):
            mapped.add(fields[5])
print(json.dumps({
    "started": sys.executable,
    "executable": os.path.realpath(sys.executable),
    "prefix": sys.prefix,
    "standard_library": sysconfig.get_path("stdlib"),
    "configuration": sysconfig.get_config_var("LIBPL") or "",
    "path": path,
    "packages": packages,
    "bytecode": sys.pycache_prefix,
    "mapped": sorted(mapped),
}))
"""


class Interpreter(Struct, frozen=True, kw_only=True):
    """What an interpreter says about itself."""

    started: str
    """Its own path, which may be a link."""
    executable: str
    """What that leads to."""
    prefix: str
    standard_library: str
    configuration: str
    """A directory below the standard library for building against it; nothing is imported from it."""
    path: tuple[str, ...]
    packages: dict[str, str]
    """Of editable installs: name, and file or directory."""
    bytecode: str | None
    """Where it looks for caches instead of beside the sources."""
    mapped: tuple[str, ...]
    """Files that are mapped as code."""


def ask(command: Sequence[str], environ: Mapping[str, str], modules: Sequence[str]) -> Interpreter:
    """What the interpreter that `command` starts would import.

    Args:
        command: The launch's command with its placeholders filled in: an interpreter, its options, and a program.
        environ: All variables of the launch.
        modules: What it shall import before it looks which libraries are loaded; their code runs.

    Raises:
        InterpreterError: it cannot be started, does not answer, or cannot import one of the modules.
    """
    question = [command[0], *options(command), "-c", _QUESTION, *modules]
    try:
        done = subprocess.run(
            question,
            env=dict(environ),
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=deadlines.SERVER_START,
            check=True,
        )
        return decode.json(done.stdout, Interpreter)
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines() or ["nothing"]
        raise InterpreterError(f"{command[0]} ended, and said: {said[-1]}") from error
    except (OSError, subprocess.TimeoutExpired, UnreadableError) as error:
        raise InterpreterError(f"cannot ask {command[0]} what it imports: {error}") from error


def options(command: Sequence[str]) -> list[str]:
    """The interpreter's own options, without the program that it runs."""
    taken: list[str] = []
    arguments = iter(command[1:])
    for argument in arguments:
        if not argument.startswith("-") or argument.startswith(("-m", "-c")) or argument == "-":
            break
        taken.append(argument)
        if argument in SEPARATE:
            taken.extend(value for value in [next(arguments, None)] if value is not None)
    return taken


def trees(interpreter: Interpreter, *, guarded: bool = False) -> tuple[Tree, ...]:
    """All that the interpreter runs and imports from, each under a name that says what it is for.

    Args:
        interpreter: What it said.
        guarded: The directory in which it looks for caches is kept by who measures, and is not measured.
    """
    beside = interpreter.bytecode is None
    found = [
        Tree(name="interpreter", path=interpreter.started),
        Tree(name="pyvenv.cfg", path=f"{interpreter.prefix}/pyvenv.cfg"),
        Tree(name="ld.so.preload", path=_PRELOAD),
    ]
    if interpreter.bytecode is not None and not guarded:
        found.append(Tree(name="bytecode", path=interpreter.bytecode))
    for place, path in enumerate(interpreter.path):
        omitted = _omitted(interpreter) if path == interpreter.standard_library else ()
        found.append(Tree(name=f"path/{place}", path=path, omitted=omitted, bytecode=beside))
    for name, path in interpreter.packages.items():
        found.append(Tree(name=f"package/{name}", path=_file(path), bytecode=beside))
    return (*found, *_libraries(interpreter, _roots(interpreter, found)))


def surroundings(interpreter: Interpreter) -> tuple[str, ...]:
    """What decides which files the answer names, and is not among them: if none of this changes, nor does the answer.

    Libraries are found by links beside them and by the loader's cache, paths by files beside the interpreter.
    """
    known = _roots(interpreter, trees(interpreter, guarded=True))
    beside = {_parent(each.path) for each in _libraries(interpreter, known)}
    beside |= {_parent(interpreter.started), _parent(interpreter.executable)}
    return (*sorted(beside), _LOADERS_CACHE)


def _roots(interpreter: Interpreter, found: Iterable[Tree]) -> list[str]:
    named = [each.path for each in found if not each.name.startswith("library/")]
    return [*named, interpreter.executable]


def _parent(path: str) -> str:
    return str(Path(path).parent)


def _omitted(interpreter: Interpreter) -> tuple[str, ...]:
    configuration = Path(interpreter.configuration)
    below = configuration.parent == Path(interpreter.standard_library)
    return (*STANDARD_LIBRARY_OMITTED, *([configuration.name] if below else []))


def _file(path: str) -> str:
    """Finders of editable installs name a module's file without its ending."""
    source = Path(f"{path}.py")
    return str(source) if source.exists() and not Path(path).exists() else path


def _libraries(interpreter: Interpreter, known: Sequence[str]) -> Iterator[Tree]:
    """Libraries that are in no other tree, by their names; those with the same name by the order of their paths."""
    names: dict[str, int] = {}
    for path in interpreter.mapped:
        if any(path == root or path.startswith(f"{root}/") for root in known):
            continue
        name = Path(path).name
        names[name] = names.get(name, 0) + 1
        number = f"#{names[name]}" if names[name] > 1 else ""
        yield Tree(name=f"library/{name}{number}", path=path)
