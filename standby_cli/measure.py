"""`standby measure`: what would be started here, as a policy that admits it and nothing else.

What is measured, and how, is the wrapper's (`app_wrapper.measuring`): with the same variables it gets the same number.
"""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import click
import msgspec
from msgspec import Struct

from app_wrapper import application
from app_wrapper.measuring.launch import launch_of
from app_wrapper.settings import Attestation, LauncherKind
from attestation.claims import Root, TcbStatus
from attestation.measure.digests import DigestCache
from attestation.measure.launch import manifest_of
from attestation.measure.manifest import Manifest, explain, measure
from standby import decode
from standby.decode import UnreadableError
from standby_cli import environs
from standby_cli.echo import echo
from standby_cli.errors import CommandError
from standby_cli.parts import smartgrid_app

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
    default=None,
    help="How its servers are started; with fork the template is measured."
    "  [default: $APP_WRAPPER_LAUNCHER, else fork if the app.toml names a template]",
)
@click.option(
    "--import",
    "modules",
    multiple=True,
    metavar="MODULE",
    help="Import it first, too, besides what app.toml names, and measure the libraries that it loads; with --app.",
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
    launcher: str | None,
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
    app_file = (file or smartgrid_app()).absolute()
    app = application.load(app_file)
    how = LauncherKind(launcher) if launcher else environs.launcher(Attestation.SOFT_DCAP, app)
    found = measured(app_file, how, os.environ, modules)
    if earlier:
        _explain(earlier, found)
    elif as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        click.echo(policy_text(app.name, found), nl=False)


def measured(
    app_file: Path, how: LauncherKind, environ: Mapping[str, str], imported: Sequence[str] = ()
) -> Measured:
    """What a wrapper with these variables measures of the servers that it starts like this.

    Raises:
        ApplicationError: the application's file cannot be used, or names no template.
        MeasureError: the launch cannot be measured.
    """
    app = application.load(app_file)
    described = launch_of(app, app_file.parent, how, environ, imported=imported)
    manifest = manifest_of(described.launch, DigestCache())
    return Measured(measure(manifest), how, manifest)


def variant_name(name: str, found: Measured) -> str:
    """Of the variant that admits what was measured; `name` is the application's."""
    return _NO_NAME.sub("-", f"{name} as measured {found.launcher} launcher")


def policy_text(name: str, found: Measured) -> str:
    """A policy, in TOML, that admits what was measured and nothing else."""
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
name = "{variant_name(name, found)}"
mrenclave = ["{found.measurement}"]
"""


def _explain(earlier: Path, now: Measured) -> None:
    try:
        before = decode.json(earlier.read_bytes(), Measured)
    except UnreadableError as error:
        raise CommandError(f"{earlier} is not what --json wrote: {error}") from error
    if before.launcher is not now.launcher:
        raise CommandError(f"{earlier} was measured with --launcher {before.launcher}")
    differences = explain(before.manifest, now.manifest)
    for each in differences:
        echo(each.text)
    echo(f"{len(now.manifest.entries)} entries, {len(differences)} differ", err=True)
    if differences:
        sys.exit(1)
