"""`smartgrid-client`: the dissertation's client (table 3.2), with its parameters under their own names.

Exit status: 0 every request succeeded; 1 some failed for good; 2 wrong usage or input; 3 a server was not what the
policy admits, and got nothing but a challenge; 130 after Ctrl-C (143 after SIGTERM). The session ends with LOGOUT in
every case. Secrets are read from files and never printed.
"""

import asyncio
import sys
import time
from pathlib import Path
from typing import Any, Final

import click

from smartgrid_client import chart, options, profile
from smartgrid_client.admission import NotAdmitted
from smartgrid_client.arguments import Arguments, access, job
from smartgrid_client.messages import Metric
from smartgrid_client.run import ChartJob, Interrupts, Job, run
from smartgrid_client.view import UNVERIFIED, View
from standby.deadlines import CLIENT_RETRY, SESSION_LENGTH
from standby.errors import PlatformError
from standby.settings import SettingsError

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_NOT_ATTESTED: Final = 3
EXIT_SIGNAL: Final = 128
_EXIT_STATUS: Final = (
    "Exit status: 0 every request succeeded; 1 some failed for good; 2 wrong usage or input; "
    "3 the server is not what the policy admits, and got nothing; 130 after Ctrl-C, 143 after SIGTERM."
)
FREQUENCY: Final = 10.0
"""Seconds; the dissertation's most frequent use (section 5.2.1)."""
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_PLACE: Final = click.Path(exists=True, path_type=Path)
_OUTPUT: Final = click.Path(dir_okay=False, writable=True, allow_dash=True, path_type=Path)


class UnusableError(click.ClickException):
    """The input, not the platform, is the reason."""

    exit_code = EXIT_USAGE


class DashCommand(click.Command):
    """Takes long options with one dash too, as the dissertation writes them (`-server`)."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        known = {option for each in self.get_params(ctx) for option in each.opts}
        return super().parse_args(ctx, [double_dash(each, known) for each in args])


def double_dash(argument: str, known: set[str]) -> str:
    """`--name` for `-name` where that is a known option; anything else unchanged."""
    name = argument.partition("=")[0]
    return f"-{argument}" if f"-{name}" in known and not name.startswith("--") else argument


def _take_profile(ctx: click.Context, _parameter: click.Parameter, place: Path | None) -> None:
    if place is not None:
        try:
            ctx.default_map = {**profile.options(place), **(ctx.default_map or {})}
        except ValueError as error:
            raise click.BadParameter(str(error)) from error


@click.command(
    cls=DashCommand,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=_EXIT_STATUS,
)
@click.version_option(package_name="standby-servers", prog_name="smartgrid-client")
@click.option(
    "--profile",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    is_eager=True,
    expose_value=False,
    callback=_take_profile,
    metavar="DIR",
    help="A directory that `standby enroll` made: server, port, user, files and mode, unless given here.",
)
@click.option(
    "--server",
    type=options.HostKind(),
    required=True,
    metavar="HOST",
    help="Address of the load balancer.",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    metavar="PORT",
    default=443,
    show_default=True,
    help="Its port.",
)
@click.option(
    "--sni",
    "uid",
    type=options.UidKind(),
    required=True,
    help="The user's id, which names the server.",
)
@click.option("--cert", type=_FILE, required=True, help="Client certificate (PEM).")
@click.option("--key", "private_key", type=_FILE, required=True, help="Its private key (PEM).")
@click.option(
    "--passphrase-file",
    type=_FILE,
    help="Holds the passphrase of --key, if that is encrypted.  [default: it is asked for]",
)
@click.option(
    "--ca", "authorities", type=_FILE, required=True, help="Authority that certifies servers (PEM)."
)
@click.option(
    "--policy",
    type=_FILE,
    help="What a server must be before it gets anything.  [default: policy.toml beside the --ca file]",
)
@click.option(
    "--newer-policy",
    type=_FILE,
    help="A signed policy from elsewhere, such as a download: taken as if a server had sent it.",
)
@click.option(
    "--collateral",
    type=_FILE,
    help="Your own collateral for the servers' platform (JSON), instead of what servers send along.",
)
@click.option(
    "--insecure-skip-attestation",
    "skip_attestation",
    is_flag=True,
    help="Customer: send the key to whatever answers under the user's name. For tests.",
)
@click.option("--keydir", type=_PLACE, required=True, help="Directory with db.key, or that file.")
@click.option(
    "--accept-older-data",
    "accept_older",
    is_flag=True,
    help="Log in even if the data are older than those of the last session.",
)
@click.option(
    "--mode",
    type=options.ModeKind(),
    required=True,
    help="1 or meter: pushes readings. 2 or customer: asks for averages, sets alarms.",
)
@click.option(
    "--duration",
    type=options.DurationKind(),
    default=str(int(SESSION_LENGTH)),
    show_default=True,
    help="Of the session; 90, 10m, 1h.",
)
@click.option(
    "--frequency",
    type=options.DurationKind(),
    default=str(int(FREQUENCY)),
    show_default=True,
    help="From one request to the next; 0: no pause.",
)
@click.option(
    "--writeRatio",
    "--write-ratio",
    "write_ratio",
    type=click.FloatRange(0, 1),
    metavar="RATIO",
    default=0.5,
    show_default=True,
    help="Customer: share of WRITEs among the requests.",
)
@click.option("--csv", is_flag=True, help="One CSV line per request on standard output.")
@click.option(
    "--json", "json_file", type=_OUTPUT, help="Write the summary as JSON; - for standard output."
)
@click.option(
    "--retry",
    type=options.DurationKind(),
    default=str(int(CLIENT_RETRY)),
    show_default=True,
    help="Repeat a request this long, where it is safe; 0: never.",
)
@click.option(
    "--readings",
    "readings_file",
    type=_FILE,
    help="Meter: CSV file of readings. Without it they are made up.",
)
@click.option(
    "--batch",
    type=options.BatchKind(),
    default="1h",
    show_default=True,
    help="Meter: rows (240) or time (3h) of a LONG_WRITE.",
)
@click.option(
    "--step",
    type=click.IntRange(min=1),
    metavar="SECONDS",
    help="Meter: repeat one-minute readings every 15 (10, 20, …) seconds; made-up ones are 15 s apart.",
)
@click.option(
    "--seed",
    help="Makes made-up readings and the mix of requests repeatable. Readings: the user's id unless set.",
)
@click.option(
    "--chart", "draw", is_flag=True, help="Customer: only ask for averages, and draw them here."
)
@click.option(
    "--png",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Customer: the same as a PNG file.",
)
@click.option(
    "--metric",
    type=click.Choice([each.value for each in Metric]),
    help="Customer: what to ask for.  [default: any; charts: power]",
)
@click.option(
    "--start",
    type=options.MomentKind(),
    help="First moment: Unix seconds, 2007-02-01 or 2007-02-01T18:00 (UTC).",
)
@click.option("--end", type=options.MomentKind(), help="Moment after the last.")
@click.option(
    "--bucket",
    type=options.DurationKind(),
    help="Customer: one average for each of these; 15m, 1h, 1d.",
)
def main(**values: Any) -> None:  # noqa: ANN401  # click's own conversion gives each its type
    """Run one session of a smart-grid user: LOGIN, requests at a steady pace, LOGOUT.

    Prints each request's latency, from just before sending to the answer, and a summary. Every option works with one
    dash as well.

    Every server has to prove first that it is what the policy admits; one that does not gets nothing.
    """
    arguments = Arguments(**values)
    _check_places(arguments)
    view = View(csv=arguments.csv, json=arguments.json_file)
    interrupts = Interrupts(lambda: click.echo("LOGOUT; Ctrl-C again leaves at once", err=True))
    try:
        work, allowed = job(arguments, int(time.time())), access(arguments, view.warn)
        if allowed.verifier is None:
            view.warn(UNVERIFIED)
        view.begin()
        summary = asyncio.run(run(allowed, work, view.attempt, interrupts, view.waiting))
        view.summary(summary)
        _show(arguments, work, view)
    except (PlatformError, SettingsError, ValueError) as error:
        raise UnusableError(str(error)) from error
    if isinstance(summary.attestation, NotAdmitted):
        view.refused(summary.attestation)
        sys.exit(EXIT_NOT_ATTESTED)
    if interrupts.signal is not None:
        sys.exit(EXIT_SIGNAL + interrupts.signal)
    sys.exit(EXIT_FAILED if summary.errors else 0)


def _check_places(arguments: Arguments) -> None:
    """What is written at the end must have a place, which is said at the beginning."""
    for option, file in (("--json", arguments.json_file), ("--png", arguments.png)):
        if file is not None and not file.absolute().parent.is_dir():
            raise click.UsageError(f"there is no directory {file.parent} for {option}")


def _show(arguments: Arguments, work: Job, view: View) -> None:
    if not isinstance(work, ChartJob) or work.answer is None:
        return
    if not work.answer.buckets:
        view.say(f"There are no {work.metric} readings in the period.")
        return
    drawn = chart.Chart(work.answer, work.bucket, arguments.uid)
    if arguments.draw:
        view.chart(drawn)
    if arguments.png is not None:
        chart.png(drawn, arguments.png)
        view.say(f"chart written to {arguments.png}")
