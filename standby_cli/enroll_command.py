"""`standby enroll`."""

import asyncio
from pathlib import Path
from typing import TextIO

import click

from standby.ids import InvalidIdError, Uid, parse_uid
from standby_cli import commands, enrollment
from standby_cli.commands import say
from standby_cli.echo import echo
from standby_cli.layout import Layout


@click.command("enroll")
@click.argument("uids", nargs=-1, metavar="UID...")
@commands.state_dir
@click.option(
    "--role",
    type=click.Choice(["customer", "meter"]),
    required=True,
    help="What the certificate is for.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    help="Where the files go.  [default: ./UID-ROLE; with several users a folder each below it]",
)
@click.option(
    "--db-key",
    type=click.Path(exists=True, path_type=Path),
    default=None,
    help="The user's db.key, when the database exists; with several users the --out of the earlier call.",
)
@click.option(
    "--import",
    "source",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=None,
    help="Fill a new database from a CSV file or a plain SQLite file.",
)
@click.option(
    "--new-database",
    is_flag=True,
    help="Also for a user who has a database: an empty one takes its place, which is kept as a copy."
    " For a lost key or a lost database.",
)
@click.option(
    "--server",
    metavar="HOST",
    default=None,
    help="Where the user's clients find the platform, for profile.toml.  [default: this machine]",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=None,
    help="Its port there.  [default: the load balancer's]",
)
@click.option(
    "--uids-from",
    type=click.File("r"),
    default=None,
    help="More user ids, one a line ('-': stdin).",
)
def enroll_command(
    uids: tuple[str, ...],
    state_dir: Path,
    role: str,
    out: Path | None,
    db_key: Path | None,
    source: Path | None,
    server: str | None,
    port: int | None,
    uids_from: TextIO | None,
    *,
    new_database: bool,
) -> None:
    """Make users' encrypted databases and write their certificates, keys and profiles.

    The directory is all that `smartgrid-client --profile` needs.

    The database key is written to db.key and exists nowhere else afterwards: without it nobody, not even the operator,
    can read the data.
    """
    names = _uids([*uids, *(line.strip() for line in uids_from or () if line.strip())])
    layout = Layout(state_dir.absolute())
    request = enrollment.Request(
        tuple(names), role, out, db_key, source, new_database, server, port
    )
    with enrollment.progress(len(names)) as step:
        written = asyncio.run(enrollment.enroll(request, layout, step))
    for directory in written:
        echo(str(directory))
    if not layout.policy.exists():
        say(
            "note: this platform has no policy yet, so none was written beside ca.pem; after the first attested"
            " `standby up` enroll again with --db-key"
        )


def _uids(texts: list[str]) -> list[Uid]:
    try:
        names = [parse_uid(text) for text in texts]
    except InvalidIdError as error:
        raise click.UsageError(str(error)) from error
    if not names:
        raise click.UsageError("name at least one user")
    if len(set(names)) != len(names):
        raise click.UsageError("a user is named twice")
    return names
