"""`standby audit verify`: is the log of verdicts whole, and as it was written?"""

import sys
from pathlib import Path
from typing import Final

import click
import msgspec

from attestation.audit import KEY_FILE, LOG_FILE, Head, Outcome, Result, read_public_key, verify
from standby_cli.errors import CommandError
from standby_cli.layout import Layout, default_directory

EXIT_STATUS: Final = {
    Outcome.FINE: 0,
    Outcome.TORN_END: 10,
    Outcome.TRUNCATED: 14,
    Outcome.UNREADABLE: 16,
    Outcome.MISSING: 17,
    Outcome.REWRITTEN: 18,
    Outcome.WRONG_SIGNER: 19,
    Outcome.ALTERED: 20,
}
"""The numbers that SCONE's CAS uses for what is nearest to it."""
_EXISTING: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


class _HeadType(click.ParamType[Head]):
    name = "SEQ:HASH"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Head:
        try:
            return Head.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """`standby audit verify --json`."""

    file: str
    result: Result
    exit_status: int


@click.group("audit")
def audit_commands() -> None:
    """Look at a log of verdicts: which server was trusted, when and why. No part writes one yet."""


@audit_commands.command("verify")
@click.argument("file", type=_EXISTING, required=False)
@click.option(
    "--state-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=default_directory,
    show_default="$STANDBY_STATE_DIR, else ~/.local/state/standby",
    help="Whose log is read when no FILE is given.",
)
@click.option(
    "--key",
    type=_EXISTING,
    default=None,
    help="The signer's public key (PEM), from a place of your own.  [default: the one beside the log]",
)
@click.option(
    "--head",
    "known",
    type=_HeadType(),
    default=None,
    help="What an earlier call printed as head. Without it a cut-off end cannot be noticed.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as data.")
def verify_command(
    file: Path | None, state_dir: Path, key: Path | None, known: Head | None, *, as_json: bool
) -> None:
    """Check every entry's place, hash and signature, and print the head: keep it elsewhere.

    \b
    Exit status:
       0  fine
       1  the key cannot be used
       2  the command line is wrong
      10  the last line is unfinished: a crash while writing, or a cut
      14  the end is missing: the log ends before --head
      16  unreadable: no log, or a line that is no entry
      17  an entry is missing
      18  rewritten: another entry stands where --head was
      19  wrong signer: an entry is signed with another key
      20  altered: an entry is not what was written
    """  # noqa: D301  # \b is click's mark, not an escape
    if file and not key:
        raise click.UsageError("a FILE needs the --key of its signer")
    log = file or Layout(state_dir.absolute()).audit / LOG_FILE
    result = _verified(log, key, known)
    status = EXIT_STATUS[result.outcome]
    if as_json:
        report = Report(file=str(log), result=result, exit_status=status)
        click.echo(msgspec.json.format(msgspec.json.encode(report)).decode())
    else:
        _show(log, result)
    sys.exit(status)


def _verified(log: Path, key: Path | None, known: Head | None) -> Result:
    if not log.exists():
        return Result(outcome=Outcome.UNREADABLE, text=f"there is no log {log}", head=None)
    try:
        public_key = read_public_key(key or log.with_name(KEY_FILE))
    except (OSError, ValueError) as error:
        raise CommandError(f"the log's public key cannot be used: {error}") from error
    return verify(log, public_key, known)


def _show(log: Path, result: Result) -> None:
    click.echo(f"{result.outcome}: {log}: {result.text}")
    for sequence in result.cuts:
        click.echo(
            f"note: an unfinished entry stood before entry {sequence}: a crash while writing"
        )
    if result.head:
        click.echo(f"head: {result.head}")
