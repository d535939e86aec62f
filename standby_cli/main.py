"""The `standby` command.

Exit status: 0 done; 2 the command line is wrong; 130 interrupted; the rest as in `standby_cli.errors`.
What was asked for goes to stdout, progress and errors go to stderr.
"""

import asyncio
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, TextIO

import click
import msgspec
from rich.console import Console

from standby import logs
from standby.ids import InvalidIdError, Uid, parse_uid
from standby_cli import background, commands, down, enrollment, status, up
from standby_cli.audit import audit_commands
from standby_cli.authorities import Authorities
from standby_cli.control import control
from standby_cli.demo import scenario
from standby_cli.demo.main import run_demo
from standby_cli.errors import CommandError
from standby_cli.layout import Layout, default_directory
from standby_cli.measure import measure_command
from standby_cli.parts import Approach, Options
from standby_cli.policy import policy_commands
from standby_cli.progress import FAILED, READY, pipe_teller

DEFAULT_POOL: Final = 4


def _without_spaces(_context: click.Context, _parameter: click.Parameter, path: Path) -> Path:
    if len(str(path.absolute()).split()) != 1:
        raise click.BadParameter(f"{path.absolute()}: servers cannot be told a path with a space")
    return path


_approach = click.option(
    "--approach",
    type=click.Choice([each.value for each in Approach]),
    default=Approach.STANDBY.value,
    show_default=True,
    help="How servers come to users.",
)
_state_dir = click.option(
    "--state-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=default_directory,
    callback=_without_spaces,
    show_default="$STANDBY_STATE_DIR, else ~/.local/state/standby",
    help="Where the platform keeps all it writes.",
)


def say(text: str) -> None:
    """One line about what is going on."""
    click.echo(text, err=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="standby-servers")
def cli() -> None:
    """Run and watch standby servers: a pool of processes that wait for users without any state."""


@cli.command("up")
@_state_dir
@click.option(
    "--pool-size",
    type=click.IntRange(1, 10_000),
    default=DEFAULT_POOL,
    show_default=True,
    envvar="APP_WRAPPER_POOL_SIZE",
    help="Standby servers of each wrapper.",
)
@click.option(
    "--wrappers", type=click.IntRange(1, 100), default=1, show_default=True, help="App Wrappers."
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address on which the load balancer listens.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Port of the load balancer.  [default: the system chooses]",
)
@_approach
@click.option(
    "--detach", is_flag=True, help="Return once everything is ready; end with `standby down`."
)
@click.option("--tell-fd", type=int, hidden=True)
def up_command(
    state_dir: Path,
    pool_size: int,
    wrappers: int,
    host: str,
    port: int,
    approach: str,
    tell_fd: int | None,
    *,
    detach: bool,
) -> None:
    """Start Routing Manager, wrappers and load balancer on this machine."""
    layout = Layout(state_dir.absolute())
    if detach:
        arguments = ["--state-dir", str(layout.root), "--pool-size", str(pool_size)]
        arguments += ["--wrappers", str(wrappers), "--host", host, "--port", str(port)]
        process = background.start([*arguments, "--approach", approach], layout, say)
        process.returncode = 0  # it goes on without us; tells Popen that nothing is left to reap
        say(f"ready: {layout.endpoints}")
        return
    options = Options(Approach(approach), pool_size, wrappers, host, port)
    if tell_fd is not None:
        logs.configure("supervisor")
        _supervise(options, layout, pipe_teller(tell_fd))
    else:
        _supervise(options, layout, lambda text: _say_for_people(text, layout))


def _say_for_people(text: str, layout: Layout) -> None:
    if not text.startswith(FAILED):  # the command's own error says it
        say(f"ready: {layout.endpoints}; Ctrl-C ends it" if text == READY else text)


def _supervise(options: Options, layout: Layout, tell: Callable[[str], None]) -> None:
    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, stop.set)
        await up.bring_up(options, layout, tell, stop)

    try:
        asyncio.run(main())
    except CommandError as error:
        tell(FAILED + str(error))
        raise


@cli.command("down")
@_state_dir
@click.option("--now", is_flag=True, help="End open sessions at once, as LOGOUT does.")
def down_command(state_dir: Path, *, now: bool) -> None:
    """End the platform; sessions that are open may go on for a short while first."""
    layout = Layout(state_dir.absolute())
    if now:
        asyncio.run(down.end_sessions(layout))
    say("ended" if down.bring_down(layout, say) else "no platform was running")


@cli.command("status")
@_state_dir
@click.option("--json", "as_json", is_flag=True, help="The same as data.")
def status_command(state_dir: Path, *, as_json: bool) -> None:
    """Show every server process, its state and its user."""
    running = down.running(Layout(state_dir.absolute()))

    async def main() -> status.Status:
        async with control() as calls:
            return await status.collect(running, calls)

    found = asyncio.run(main())
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        status.show(found, Console())


@cli.command("drain")
@_state_dir
@click.argument("wrapper")
def drain_command(state_dir: Path, wrapper: str) -> None:
    """Let WRAPPER take no new users, end its sessions within its limit, and leave."""
    layout = Layout(state_dir.absolute())
    running = down.running(layout)
    urls = {each.id: each.control_url for each in running.wrappers}
    if wrapper not in urls:
        raise CommandError(f"there is no wrapper {wrapper!r}, only {', '.join(sorted(urls))}")

    async def main() -> None:
        async with control(Authorities(layout.pki).operator()) as calls:
            await calls.order("POST", f"{urls[wrapper]}/v1/drain", {}, object)

    asyncio.run(main())
    say(f"{wrapper} is draining")


@cli.command("enroll")
@click.argument("uids", nargs=-1, metavar="UID...")
@_state_dir
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
    with enrollment.progress(len(names), Console(stderr=True)) as step:
        written = asyncio.run(enrollment.enroll(request, layout, step))
    for directory in written:
        click.echo(directory)


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
@_approach
def demo_command(json_file: Path | None, users: int, pool_size: int, approach: str) -> None:
    """Run the whole platform on six days of real meter readings, and check every answer."""
    if approach == Approach.STANDBY and pool_size >= users:
        raise click.UsageError("the demo shows a pool that is smaller than the number of users")
    plan = scenario.Plan(users=users, pool_size=pool_size, approach=Approach(approach))
    if not run_demo(plan, json_file, Console(stderr=True), Console()):
        sys.exit(1)


cli.add_command(policy_commands)
cli.add_command(audit_commands)
cli.add_command(measure_command)


def main() -> None:
    """The console script."""
    commands.run(cli, "standby")
