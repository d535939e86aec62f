"""What is measured of an application's launch: its description, turned into the plain data that is measured.

Its texts keep their placeholders, so what each server has of its own is not in the measurement, and nor are the values
of variables that only say where something is kept (`places`): the issuing key is not part of the program, and a
client's trust does not hang on its path.

A program whose command is `{python}` gets its bytecode from a directory that the wrapper makes and guards (`bytecode`),
and writes none. The measurement has `BYTECODE` in place of that directory, so it is the same wherever that is.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct, structs

from app_wrapper import application
from app_wrapper.application import Application
from app_wrapper.settings import LauncherKind
from attestation.measure import interpreter
from attestation.measure.interpreter import Interpreter
from attestation.measure.launch import Launch
from attestation.measure.tree import Tree

BYTECODE: Final = "{bytecode}"
PREFIX: Final = "PYTHONPYCACHEPREFIX"
DONT_WRITE: Final = "PYTHONDONTWRITEBYTECODE"
_PYTHON: Final = "{python}"


class Question(Struct, frozen=True, kw_only=True):
    """What an interpreter is asked (`attestation.measure.interpreter`)."""

    command: tuple[str, ...]
    """It and its options."""
    variables: dict[str, str]
    """All that it is given; with `BYTECODE` in place of the directory for its bytecode."""
    modules: tuple[str, ...]


class Described(Struct, frozen=True):
    launch: Launch
    surroundings: tuple[str, ...]
    """Paths that decide which files these are; see `interpreter.surroundings`."""


def variables(app: Application, launcher: LauncherKind, bytecode: str) -> dict[str, str]:
    """What a measured launch is given besides what `app.toml` says; `bytecode` is a directory, or stands for one.

    An operator's own PATH would be measured, and a policy made in one shell would refuse servers started from another.
    """
    if _command(app, launcher)[0] != _PYTHON:
        return {}
    return {PREFIX: bytecode, DONT_WRITE: "1", "PATH": os.defpath}


def launch_of(
    app: Application,
    app_dir: Path,
    launcher: LauncherKind,
    environ: Mapping[str, str],
    *,
    imported: Sequence[str] = (),
) -> Described:
    """What is measured of an application's launch; asks its interpreter, which takes a start of it.

    Args:
        app: The application.
        app_dir: The directory of its `app.toml`.
        launcher: `fork` measures the command of its template, all others that of its servers.
        environ: The wrapper's variables, of which some are passed on.
        imported: Modules that the interpreter imports first, besides those that `app.toml` names.

    Raises:
        ApplicationError: it has no template.
        MeasureError: the interpreter gives no usable answer.
    """
    question = question_of(app, app_dir, launcher, environ, imported=imported)
    return described(app, app_dir, launcher, environ, answer_to(question, None))


def question_of(
    app: Application,
    app_dir: Path,
    launcher: LauncherKind,
    environ: Mapping[str, str],
    *,
    imported: Sequence[str] = (),
) -> Question:
    """What the interpreter of the launch is asked; arguments and errors as of `launch_of`."""
    command, given = _command(app, launcher), variables(app, launcher, BYTECODE)
    common = application.template_environment(app, app_dir, environ)
    others = {name: value for name, value in common.items() if name != DONT_WRITE}
    asking = others | {PREFIX: BYTECODE} if given else common | {DONT_WRITE: "1"}
    return Question(
        command=(sys.executable if given else command[0], *interpreter.options(command)),
        variables=asking,
        modules=(*app.attestation.modules, *imported),
    )


def answer_to(question: Question, bytecode: Path | None) -> Interpreter:
    """Ask; the interpreter alone may write bytecode, and only to this directory, or nowhere.

    Raises:
        MeasureError: the interpreter gives no usable answer.
    """
    place = {PREFIX: str(bytecode)} if bytecode else interpreter.NO_BYTECODE
    asked = question.variables.get(PREFIX) == BYTECODE
    filled = question.variables | place if asked else question.variables
    answer = interpreter.ask(question.command, filled, question.modules)
    guarded = asked and answer.bytecode == place[PREFIX]
    return structs.replace(answer, bytecode=BYTECODE) if guarded else answer


def described(
    app: Application,
    app_dir: Path,
    launcher: LauncherKind,
    environ: Mapping[str, str],
    answer: Interpreter,
) -> Described:
    """What is measured, by the interpreter's answer."""
    common = application.template_environment(app, app_dir, environ)
    files = Tree(name="app", path=str(app_dir), bytecode=answer.bytecode is None)
    launch = Launch(
        command=tuple(_command(app, launcher)),
        variables=common | app.env.set | variables(app, launcher, BYTECODE),
        any_value=tuple(app.attestation.places),
        trees=(files, *interpreter.trees(answer, guarded=answer.bytecode == BYTECODE)),
    )
    return Described(launch, interpreter.surroundings(answer))


def _command(app: Application, launcher: LauncherKind) -> list[str]:
    return application.template_of(app) if launcher is LauncherKind.FORK else app.command
