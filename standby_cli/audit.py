"""`standby audit verify`: are the logs of verdicts whole, and as they were written?"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click
import msgspec
from msgspec import Struct

from attestation.audit import (
    KEY_FILE,
    LOG_FILE,
    Head,
    Outcome,
    Result,
    in_order,
    read_public_key,
    segments,
    verify,
)
from standby.ids import InvalidIdError, parse_wrapper_id
from standby_cli.echo import echo
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


class Known(Struct, frozen=True):
    """A head that was printed earlier, and whose."""

    wrapper: str | None
    head: Head


class _KnownType(click.ParamType[Known]):
    name = "[WRAPPER=]SEQ:HASH"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Known:
        wrapper, named, head = str(value).rpartition("=")
        try:
            return Known(parse_wrapper_id(wrapper) if named else None, Head.parse(head))
        except (ValueError, InvalidIdError) as error:
            self.fail(str(error), param, ctx)


class Log(Struct, frozen=True):
    """One that is to be verified."""

    files: tuple[Path, ...]
    """Its segments, the oldest first."""
    key: Path
    wrapper: str | None
    known: Head | None

    @property
    def file(self) -> Path:
        """The newest segment."""
        return self.files[-1]


class Report(Struct, frozen=True, kw_only=True):
    """What was found of one log."""

    file: str
    wrapper: str | None
    result: Result
    exit_status: int


class Reports(Struct, frozen=True, kw_only=True):
    """`standby audit verify --json`."""

    exit_status: int
    """The worst one's."""
    logs: list[Report]


@click.group("audit")
def audit_commands() -> None:
    """Look at the logs of verdicts: which server was admitted, when and why."""


@audit_commands.command("verify")
@click.argument("files", type=_EXISTING, nargs=-1, metavar="[FILE]...")
@click.option(
    "--state-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=default_directory,
    show_default="$STANDBY_STATE_DIR, else ~/.local/state/standby",
    help="Whose logs, one of each wrapper, are read when no FILE is given.",
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
    type=_KnownType(),
    multiple=True,
    help="What an earlier call printed as head; once for each log. Without it a cut-off end cannot be noticed.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as data.")
def verify_command(
    files: tuple[Path, ...],
    state_dir: Path,
    key: Path | None,
    known: tuple[Known, ...],
    *,
    as_json: bool,
) -> None:
    """Check every entry's place, hash and signature, and print each log's head: keep it elsewhere.

    FILEs are segments of one log. Its oldest segments may have been moved away; that is said, and is no error.

    \b
    Exit status, the highest if several logs are checked:
       0  fine
       1  the --key cannot be used
       2  the command line is wrong
      10  the last line is unfinished: a crash while writing, or a cut
      14  the end is missing: the log ends before --head
      16  unreadable: no log, no key beside it, or a line that is no entry
      17  an entry is missing
      18  rewritten: another entry stands where --head was
      19  wrong signer: an entry is signed with another key
      20  altered: an entry is not what was written
    """  # noqa: D301  # \b is click's mark, not an escape
    if files and not key:
        raise click.UsageError("a FILE needs the --key of its signer")
    found = _of_platform(Layout(state_dir.absolute()), known)
    named = {None: tuple(in_order(files))} if files else found
    if key and len(named) > 1:
        raise click.UsageError("--key is for one log, each wrapper has its own; name the FILE")
    heads = _heads(known, [*named])
    logs = [
        Log(each, key or each[-1].with_name(KEY_FILE), wrapper, heads.get(wrapper))
        for wrapper, each in named.items()
    ]
    reports = [_verified(each, own_key=key is not None) for each in logs]
    status = max(each.exit_status for each in reports)
    if as_json:
        data = msgspec.json.encode(Reports(exit_status=status, logs=reports))
        click.echo(msgspec.json.format(data).decode())
    else:
        for each in reports:
            _show(each)
    sys.exit(status)


def _of_platform(layout: Layout, known: Sequence[Known]) -> dict[str | None, tuple[Path, ...]]:
    """Every wrapper's log, also of those that must have one by what is known; the platform's directory if none is."""
    there = {each.name for each in layout.audit.glob("*") if segments(each)}
    named = {each.wrapper for each in known if each.wrapper}
    return {each: _files(layout.audit_of(each)) for each in sorted(there | named)} or {
        None: (layout.root,)
    }


def _files(directory: Path) -> tuple[Path, ...]:
    """The segments of the log in the directory; the last one is being written, or should be there to be."""
    closed = [each for each in segments(directory) if each.name != LOG_FILE]
    return (*closed, directory / LOG_FILE)


def _heads(known: Sequence[Known], wrappers: Sequence[str | None]) -> dict[str | None, Head]:
    """The known head of each log; one without a name is that of the only log."""
    heads: dict[str | None, Head] = {}
    for each in known:
        if each.wrapper is None and len(wrappers) > 1:
            raise click.UsageError("there are several logs: --head WRAPPER=SEQ:HASH, as printed")
        wrapper = each.wrapper if each.wrapper in wrappers else wrappers[0]
        if wrapper in heads:
            raise click.UsageError("two --head for one log")
        heads[wrapper] = each.head
    return heads


def _verified(log: Log, *, own_key: bool) -> Report:
    result = _result(log, own_key=own_key)
    return Report(
        file=str(log.file),
        wrapper=log.wrapper,
        result=result,
        exit_status=EXIT_STATUS[result.outcome],
    )


def _result(log: Log, *, own_key: bool) -> Result:
    if log.wrapper is None and (log.file.is_dir() or not log.file.exists()):
        return _unreadable(_without_logs(Layout(log.file)))
    if not log.file.exists():
        return _unreadable(f"there is no log {log.file}")
    try:
        public_key = read_public_key(log.key)
    except (OSError, ValueError) as error:
        text = f"the log's public key cannot be used: {error}"
        if own_key:
            raise CommandError(text) from error
        return _unreadable(text)
    result = verify(log.files, public_key, log.known)
    if log.wrapper and (now := _files(log.file.parent)) != log.files:
        return verify(
            now, public_key, log.known
        )  # a wrapper that runs has closed a segment meanwhile
    return result


def _without_logs(layout: Layout) -> str:
    if any(layout.logs.glob("*.log")):
        return f"there are no logs of verdicts in {layout.audit}, though a platform has run"
    return f"no platform has run with {layout.root}"


def _unreadable(text: str) -> Result:
    return Result(outcome=Outcome.UNREADABLE, text=text, head=None)


def _show(report: Report) -> None:
    result = report.result
    where = "" if report.file in result.text else f"{report.file}: "
    echo(f"{result.outcome}: {where}{result.text}")
    for sequence in result.cuts:
        echo(f"note: an unfinished entry stood before entry {sequence}: a crash while writing")
    if result.absent:
        echo(
            f"note: entries 1 to {result.absent.sequence} were moved away; their segments must end with head"
            f" {result.absent}"
        )
    if not result.compared:
        echo("note: the --head is among these; check them together with the FILEs that are here")
    if result.head:
        name = f"{report.wrapper}=" if report.wrapper else ""
        echo(f"head: {name}{result.head}")
