"""`standby measure`: what would be started here, as a policy that admits it and nothing else.

An application's description is turned into the plain data that is measured. Its texts keep their placeholders, so what
each server has of its own is not in the measurement. `PLACES` are variables that say where this platform keeps
something: the issuing key is not part of the program, and a client's trust does not hang on its path.
"""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click
import msgspec
from msgspec import Struct

from app_wrapper import application
from app_wrapper.settings import LauncherKind
from attestation.claims import Root, TcbStatus
from attestation.measure import interpreter
from attestation.measure.digests import DigestCache
from attestation.measure.launch import Launch, manifest_of
from attestation.measure.manifest import Manifest, explain, measure
from attestation.measure.tree import Tree
from standby_cli.errors import CommandError
from standby_cli.parts import smartgrid_app

PLACES: Final = (
    "HOME",
    "SMARTGRID_CLIENT_AUTHORITIES",
    "SMARTGRID_ISSUER_CERTIFICATE",
    "SMARTGRID_ISSUER_KEY",
    "TMPDIR",
)
_SMARTGRID_MODULES: Final = ("smartgrid_server.main", "smartgrid_server.template")
"""Imported before it is looked which libraries a server loads."""
_EVIDENCE_AGE: Final = 600
"""Seconds; a certificate of a server lives at most three times as long."""
_NO_NAME: Final = re.compile(r"[^\w .:/+-]")


class Measured(Struct, frozen=True):
    """`standby measure --json`."""

    measurement: str
    launcher: LauncherKind
    manifest: Manifest


@click.command("measure")
@click.option(
    "--app",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=None,
    help="An application's app.toml.  [default: the smart-grid server's]",
)
@click.option(
    "--launcher",
    type=click.Choice([LauncherKind.SPAWN.value, LauncherKind.FORK.value]),
    default=LauncherKind.SPAWN.value,
    show_default=True,
    help="How its servers are started; with fork the template is measured.",
)
@click.option(
    "--import",
    "modules",
    multiple=True,
    metavar="MODULE",
    help="Import it first, so that the libraries that it loads are measured, too; with --app.",
)
@click.option("--json", "as_json", is_flag=True, help="All that was measured, as data.")
@click.option(
    "--explain",
    "earlier",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=None,
    help="Say what differs from what an earlier --json wrote, instead.",
)
def measure_command(
    file: Path | None,
    launcher: str,
    modules: tuple[str, ...],
    earlier: Path | None,
    *,
    as_json: bool,
) -> None:
    """Measure the launch of servers on this machine, and print a policy that admits it alone.

    The measurement is native: SIMULATED, as no enclave takes it. Variables are those of this command's environment.

    Exit status: 0 done, and with --explain nothing differs; 1 something differs, or it cannot be measured.
    """
    if earlier and as_json:
        raise click.UsageError("--explain and --json exclude each other")
    if modules and not file:
        raise click.UsageError("--import is for --app; what the smart-grid server imports is known")
    modules = modules if file else _SMARTGRID_MODULES
    app_file = (file or smartgrid_app()).absolute()
    measured = _measured(app_file, LauncherKind(launcher), modules)
    if earlier:
        _explain(earlier, measured)
    elif as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(measured)).decode())
    else:
        click.echo(policy_text(application.load(app_file).name, measured), nl=False)


def _measured(app_file: Path, launcher: LauncherKind, modules: tuple[str, ...]) -> Measured:
    launch = launch_of(app_file, launcher, os.environ, modules)
    manifest = manifest_of(launch, DigestCache())
    return Measured(measure(manifest), launcher, manifest)


def launch_of(
    app_file: Path, launcher: LauncherKind, environ: Mapping[str, str], modules: tuple[str, ...]
) -> Launch:
    """What is measured of an application's launch; asks its interpreter, which takes a start of it.

    Args:
        app_file: The application's `app.toml`.
        launcher: `spawn` measures its command, `fork` that of its template.
        environ: The wrapper's variables, of which some are passed on.
        modules: Imported by the interpreter that is asked.

    Raises:
        ApplicationError: the file cannot be used, or names no template.
        MeasureError: the interpreter gives no usable answer.
    """
    app, app_dir = application.load(app_file), app_file.parent
    command, started = list(app.command), [sys.executable]
    if launcher is LauncherKind.FORK:
        started = application.template_command(app, app_dir)
        command = app.template or []
    elif app.command[0] != "{python}":
        started = [app.command[0]]
    passed = application.template_environment(app, app_dir, environ) | interpreter.NO_BYTECODE
    asked = interpreter.ask([started[0], *interpreter.options(command)], passed, modules)
    own = {name: text for name, text in app.env.set.items() if name not in interpreter.NO_BYTECODE}
    files = Tree(name="app", path=str(app_dir), bytecode=asked.bytecode is None)
    return Launch(
        command=tuple(command),
        variables=passed | own,
        any_value=PLACES,
        trees=(files, *interpreter.trees(asked)),
    )


def policy_text(name: str, measured: Measured) -> str:
    """A policy, in TOML, that admits what was measured and nothing else."""
    variant = _NO_NAME.sub(
        "-", f"{name} as measured, {measured.launcher} launcher".replace(",", "")
    )
    return f"""\
# Admits what `standby measure` found on this machine, and nothing else.
version = 1
# SIMULATED: no enclave measured it and no processor signs for it: who runs the machine can make evidence of anything.
root = "{Root.SIMULATED}"
# Says that this is known; without it a policy with a simulated root is refused. With SGX both lines change.
testing = true
one_user_per_process = true
maximum_evidence_age_seconds = {_EVIDENCE_AGE}
accepted_tcb = ["{TcbStatus.UP_TO_DATE}"]

[[variant]]
name = "{variant}"
mrenclave = ["{measured.measurement}"]
"""


def _explain(earlier: Path, now: Measured) -> None:
    try:
        before = msgspec.json.decode(earlier.read_bytes(), type=Measured)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CommandError(f"{earlier} is not what --json wrote: {error}") from error
    if before.launcher is not now.launcher:
        raise CommandError(f"{earlier} was measured with --launcher {before.launcher}")
    differences = explain(before.manifest, now.manifest)
    for each in differences:
        click.echo(each.text)
    click.echo(f"{len(now.manifest.entries)} entries, {len(differences)} differ", err=True)
    if differences:
        sys.exit(1)
