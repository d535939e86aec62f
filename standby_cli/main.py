"""The `standby` command.

Exit status: 0 done; 2 the command line is wrong; 130 interrupted; the rest as in `standby_cli.errors`.
What was asked for goes to stdout, progress and errors go to stderr.
"""

import sys

try:
    import asyncio
    from pathlib import Path
    from typing import TextIO

    import click
    import msgspec

    from standby.ids import InvalidIdError, Uid, parse_uid
    from standby_cli import (
        commands,
        down,
        enrollment,
        overview,
        part_record,
        status,
        terminal,
        trusted,
    )
    from standby_cli.audit import audit_commands
    from standby_cli.commands import say
    from standby_cli.control import control
    from standby_cli.demo import scenario
    from standby_cli.demo.main import run_demo
    from standby_cli.errors import PartAwayError
    from standby_cli.layout import Layout
    from standby_cli.measure import measure_command
    from standby_cli.parts import Approach
    from standby_cli.policy import policy_commands
    from standby_cli.running_commands import (
        drain_command,
        restart_command,
        undrain_command,
        wrappers_commands,
    )
    from standby_cli.terminal import echo
    from standby_cli.up_command import up_command
    from standby_cli.volumes import volumes_commands
except KeyboardInterrupt:  # while a large part of the program is still being read: no traceback
    sys.exit(130)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="standby-servers")
def cli() -> None:
    """Run and watch standby servers: a pool of processes that wait for users without any state."""


@cli.command("down")
@commands.state_dir
@click.option("--now", is_flag=True, help="End open sessions at once, as LOGOUT does.")
def down_command(state_dir: Path, *, now: bool) -> None:
    """End the platform; sessions that are open may go on for a short while first."""
    layout = Layout(state_dir.absolute())
    if now:
        asyncio.run(down.end_sessions(layout))
    say("ended" if down.bring_down(layout, say) else "no platform was running")


@cli.command("status")
@commands.state_dir
@click.option("--json", "as_json", is_flag=True, help="The same as data.")
@click.option("-v", "--verbose", is_flag=True, help="Also each server's attestation and hardening.")
def status_command(state_dir: Path, *, as_json: bool, verbose: bool) -> None:
    """Show every server process, its state and its user; while a part is away (exit status 7) what the others know."""
    layout = Layout(state_dir.absolute())
    running, records = down.running(layout), part_record.read(layout.part_records)

    async def main() -> overview.Status:
        async with control() as calls:
            return await overview.collect(running, calls, records)

    found = asyncio.run(main())
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        installed = trusted.is_installed(layout)
        status.show(found, terminal.console(), verbose=verbose, installed=installed)
    if found.away:
        raise PartAwayError("; ".join(found.away))


@cli.command("enroll")
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
    uids_from: TextIO | None,
) -> None:
    """Make users' encrypted databases and write their certificates and keys.

    The database key is written to db.key and exists nowhere else afterwards: without it nobody, not even the operator,
    can read the data.
    """
    names = _uids([*uids, *(line.strip() for line in uids_from or () if line.strip())])
    layout = Layout(state_dir.absolute())
    request = enrollment.Request(tuple(names), role, out, db_key, source)
    with enrollment.progress(len(names), terminal.console(stderr=True)) as step:
        written = asyncio.run(enrollment.enroll(request, layout, step))
    for directory in written:
        echo(str(directory))
    if not layout.policy.exists():
        say(
            "note: this platform has no policy yet, so none was written beside ca.pem; after the first attested"
            " `standby up` enroll again with --db-key, or give the client the policy"
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


@cli.command("demo")
@commands.json_file
@click.option(
    "--users",
    type=click.IntRange(2, 200),
    default=scenario.USERS,
    show_default=True,
    help="Customers, each with a meter.",
)
@click.option(
    "--pool-size",
    type=click.IntRange(1, 200),
    default=scenario.POOL,
    show_default=True,
    help="Standby servers; fewer than users.",
)
@commands.approach
def demo_command(json_file: Path | None, users: int, pool_size: int, approach: str) -> None:
    """Run the whole platform on six days of real meter readings, and check every answer."""
    if approach == Approach.STANDBY and pool_size >= users:
        raise click.UsageError("the demo shows a pool that is smaller than the number of users")
    plan = scenario.Plan(users=users, pool_size=pool_size, approach=Approach(approach))
    if not run_demo(plan, json_file, terminal.console(stderr=True), terminal.console()):
        sys.exit(1)


cli.add_command(up_command)
cli.add_command(policy_commands)
cli.add_command(audit_commands)
cli.add_command(measure_command)
for each in (restart_command, drain_command, undrain_command, wrappers_commands):
    cli.add_command(each)
cli.add_command(volumes_commands)


def main() -> None:
    """The console script."""
    commands.run(cli, "standby")
