"""`standby volumes`: what there is of users' data, and putting back what a server has destroyed.

No command reads the data: it is encrypted with keys that only users have.
"""

import datetime as dt
from pathlib import Path
from typing import Final

import click
import msgspec
from msgspec import Struct
from rich.table import Table

from app_wrapper.volumes import ClaimedElsewhereError, UnknownUserError
from app_wrapper.volumes.copies import Copy, NoSuchCopyError, Restored
from app_wrapper.volumes.hostpath import HostPathVolumes
from app_wrapper.volumes.hostpath_copies import HostPathCopies
from standby.ids import InvalidIdError, Uid, parse_uid
from standby_cli import commands, terminal
from standby_cli.commands import say
from standby_cli.echo import echo
from standby_cli.errors import CommandError, InSessionError
from standby_cli.layout import Layout
from standby_cli.terminal import styled

_AS_JSON: Final = click.option("--json", "as_json", is_flag=True, help="The same as data.")
_RIGHT: Final = {"generation", "copies", "copy", "bytes", "after generation"}


class CopyShown(Struct, frozen=True, kw_only=True):
    """One copy of a user's data."""

    number: int
    taken: str
    """UTC, RFC 3339."""
    generation: int
    """Of the last claim before it; 0: there was none yet."""
    bytes: int
    restored: int | None
    """The copy that it is the same as: it was made when that one was restored."""
    replaced: bool
    """It is what a restore has replaced."""


class VolumeShown(Struct, frozen=True, kw_only=True):
    """One user's data; `standby volumes show --json`, and in a list `standby volumes list --json`."""

    user: str
    generation: int
    held_by: str | None
    """The boot id of the server process that has it, or had it when its wrapper died."""
    copies: list[CopyShown]
    """Oldest first."""


class RestoredShown(Struct, frozen=True, kw_only=True):
    """`standby volumes restore --json`."""

    user: str
    restored: CopyShown
    replaced: CopyShown | None
    """What the data was until then; restore this copy to undo it."""
    skipped: list[str]
    """What was there and no copy holds: links and the like."""


class _UidType(click.ParamType[Uid]):
    name = "UID"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Uid:
        try:
            return parse_uid(str(value))
        except InvalidIdError as error:
            self.fail(str(error), param, ctx)


_USER: Final = click.argument("uid", type=_UidType())


class _Stores:
    """A platform's volumes and their copies."""

    def __init__(self, layout: Layout) -> None:
        self.volumes = HostPathVolumes(layout.volumes)
        self.copies = HostPathCopies(layout.copies, self.volumes)

    def shown(self) -> list[VolumeShown]:
        return [
            VolumeShown(
                user=each.uid,
                generation=each.generation,
                held_by=each.holder.boot_id if each.holder else None,
                copies=[_copy(one) for one in self.copies.list(each.uid)],
            )
            for each in self.volumes.list()
        ]


@click.group("volumes")
def volumes_commands() -> None:
    """Look at users' volumes and their copies, and restore a copy."""


@volumes_commands.command("list")
@commands.state_dir
@_AS_JSON
def list_command(state_dir: Path, *, as_json: bool) -> None:
    """List every user's volume: its generation, who has it, and its copies."""
    found = _Stores(Layout(state_dir.absolute())).shown()
    if as_json:
        click.echo(_json(found))
        return
    table = _table("user", "generation", "held by", "copies", "bytes", "newest copy")
    for each in found:
        newest = each.copies[-1].taken if each.copies else "none"
        size = str(sum(one.bytes for one in each.copies))
        counts = str(each.generation), each.held_by or "", str(len(each.copies))
        table.add_row(*map(styled, (each.user, *counts, size, newest)))
    terminal.console().print(table)


@volumes_commands.command("show")
@_USER
@commands.state_dir
@_AS_JSON
def show_command(uid: Uid, state_dir: Path, *, as_json: bool) -> None:
    """Show the copies of UID's volume."""
    found = next(
        (each for each in _Stores(Layout(state_dir.absolute())).shown() if each.user == uid), None
    )
    if found is None:
        raise CommandError(f"there is no volume of {uid}")
    if as_json:
        click.echo(_json(found))
        return
    held = f", held by server process {found.held_by}" if found.held_by else ""
    terminal.console().print(styled((found.user, "bold"), f": generation {found.generation}{held}"))
    table = _table("copy", "made at", "after generation", "bytes", "")
    for each in found.copies:
        cells = str(each.number), each.taken, str(each.generation), str(each.bytes), _note(each)
        table.add_row(*map(styled, cells))
    terminal.console().print(table)


@volumes_commands.command("restore")
@_USER
@commands.state_dir
@click.option(
    "--copy",
    "number",
    type=click.IntRange(1),
    default=None,
    help="Which one.  [default: the newest that differs from what the data is now]",
)
@click.option("--discard", is_flag=True, help="Keep nothing of what the data is now.")
@_AS_JSON
def restore_command(
    uid: Uid, state_dir: Path, number: int | None, *, discard: bool, as_json: bool
) -> None:
    """Make UID's data what it was when a copy was made. What it is now is kept as a copy, too.

    Exit status 8: the user has a session; try again when it has ended.
    """
    stores = _Stores(Layout(state_dir.absolute()))
    try:
        restored = stores.copies.restore(uid, number, discard=discard)
    except ClaimedElsewhereError as error:
        raise InSessionError(
            f"{uid} has a session ({error}); wait for its end, or end it with the platform: `standby down`"
        ) from error
    except NoSuchCopyError as error:
        raise CommandError(
            f"{error}; `standby volumes show {uid}` lists those that there are, and `standby enroll {uid} --role"
            " customer --new-database` begins with an empty database"
        ) from error
    except UnknownUserError as error:
        raise CommandError(str(error)) from error
    if as_json:
        click.echo(_json(_restored(uid, restored)))
    else:
        _say_restored(uid, restored)


def _say_restored(uid: Uid, restored: Restored) -> None:
    source, replaced = restored.source, restored.replaced
    echo(f"{uid}'s data is that of copy {source.number}, made at {_time(source.taken)}")
    if replaced is not None:
        undo = f"standby volumes restore {uid} --copy {replaced.number}"
        say(f"what it was until now is copy {replaced.number}; to undo this: {undo}")
    if restored.skipped:
        say(f"of that no copy holds {len(restored.skipped)} links and the like")
    say(
        "the next LOGIN of each client is refused with older_data unless the client accepts that"
        " (--accept-older-data); what meters stored since then they have to push again"
    )


def _restored(uid: Uid, restored: Restored) -> RestoredShown:
    return RestoredShown(
        user=uid,
        restored=_copy(restored.source),
        replaced=_copy(restored.replaced) if restored.replaced else None,
        skipped=list(restored.skipped),
    )


def _copy(copy: Copy) -> CopyShown:
    return CopyShown(
        number=copy.number,
        taken=_time(copy.taken),
        generation=copy.generation,
        bytes=copy.bytes,
        restored=copy.restored,
        replaced=copy.replaced,
    )


def _note(copy: CopyShown) -> str:
    if copy.replaced:
        return "replaced by a restore"
    return "" if copy.restored is None else f"copy {copy.restored}, restored"


def _time(taken: float) -> str:
    return dt.datetime.fromtimestamp(taken, dt.UTC).isoformat(timespec="seconds")


def _json(data: object) -> str:
    return msgspec.json.format(msgspec.json.encode(data)).decode()


def _table(*names: str) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in names:
        table.add_column(name, justify="right" if name in _RIGHT else "left")
    return table
