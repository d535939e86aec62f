"""`smartgrid-client`: the dissertation's client (table 3.2), with its parameters under their own names.

Exit status: 0 every request succeeded, and all readings of a file were delivered; 1 some requests failed for good; 2
wrong usage or input; 3 a server was not what the policy admits, and got nothing but a challenge; 4 readings of a file
were not delivered, or the server cannot store them; 130 after Ctrl-C (143 after SIGTERM). The session ends with LOGOUT
in every case. Secrets are read from files and never printed.
"""

import asyncio
import datetime as dt
import os
import sys
import time
from pathlib import Path
from typing import Any, Final

import click

from smartgrid_client import chart, moments, options, profile
from smartgrid_client.admission import NotAdmitted
from smartgrid_client.arguments import Arguments, access
from smartgrid_client.curve import Curve
from smartgrid_client.jobs import FREQUENCY, job
from smartgrid_client.messages import Metric
from smartgrid_client.run import (
    AlarmsJob,
    ConflictsJob,
    CurveJob,
    Interrupts,
    Job,
    MeterJob,
    run,
)
from smartgrid_client.view import UNVERIFIED, View
from standby.deadlines import CLIENT_RETRY, SESSION_LENGTH
from standby.errors import PlatformError
from standby.settings import SettingsError

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_NOT_ATTESTED: Final = 3
EXIT_NOT_DELIVERED: Final = 4
EXIT_SIGNAL: Final = 128
_EXIT_STATUS: Final = (
    "Exit status: 0 every request succeeded, and all readings of a file were delivered; 1 some requests failed "
    "for good; 2 wrong usage or input, and nothing was sent; 3 the server is not what the policy admits, and got "
    "nothing; 4 readings of a file were not delivered; 130 after Ctrl-C, 143 after SIGTERM."
)
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_INPUT: Final = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
_PLACE: Final = click.Path(exists=True, path_type=Path)
_OUTPUT: Final = click.Path(dir_okay=False, writable=True, allow_dash=True, path_type=Path)


class UnusableError(click.ClickException):
    """The input, not the platform, is the reason."""

    exit_code = EXIT_USAGE


def _take_profile(ctx: click.Context, _parameter: click.Parameter, place: Path | None) -> None:
    if place is not None:
        try:
            ctx.default_map = {**profile.options(place), **(ctx.default_map or {})}
        except ValueError as error:
            raise click.BadParameter(str(error)) from error


@click.command(
    cls=options.DashCommand,
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
    help=f"Of the session; 90, 10m, 1h.  [default: {SESSION_LENGTH:g}; a file is pushed whole]",
)
@click.option(
    "--frequency",
    type=options.DurationKind(),
    help=f"From one request to the next; 0: no pause.  [default: {FREQUENCY:g}; for a file: 0]",
)
@click.option(
    "--writeRatio",
    "--write-ratio",
    "write_ratio",
    type=click.FloatRange(0, 1),
    metavar="RATIO",
    default=0.0,
    show_default=True,
    help="Customer, for experiments: share of requests that store made-up alarms.",
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
    type=_INPUT,
    help="Meter: file of readings; - for standard input. Without it they are made up.",
)
@click.option(
    "--columns",
    type=options.ColumnsKind(),
    metavar="time=NAME,power=NAME:kW,…",
    help="Meter: which columns of the file are what, and in which unit.  [default: by its header]",
)
@click.option(
    "--skip-bad", is_flag=True, help="Meter: push the file without the lines that cannot be read."
)
@click.option(
    "--correct",
    is_flag=True,
    help="Meter: a reading takes the place of another one that is stored for its time.",
)
@click.option(
    "--earliest",
    metavar="MOMENT",
    help="Meter: times in the file before this are errors.  [default: 2000-01-01]",
)
@click.option(
    "--latest",
    metavar="MOMENT",
    help="Meter: times in the file after this are errors.  [default: a day from now]",
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
    metavar="MOMENT",
    help="First moment: Unix seconds, 2007-02-01, 2007-02-01T18:00 or 2007-02-01T18:00+01:00.",
)
@click.option("--end", metavar="MOMENT", help="Moment after the last.")
@click.option(
    "--bucket",
    type=options.BucketKind(),
    help="Customer: one average for each of these (15m, 1h, 1d, 7d, 1mo, 1y), as a list unless a chart is wanted.",
)
@click.option(
    "--tz",
    "zone",
    type=options.ZoneKind(),
    help="Time zone of moments, of days, and of times in files that name none.  [default: TZ, else UTC]",
)
@click.option("--alarms", is_flag=True, help="Customer: only list the alarms.")
@click.option(
    "--add-alarm", type=options.AlarmKind(), multiple=True, help="Customer: add an alarm."
)
@click.option(
    "--change-alarm",
    type=options.ChangeKind(),
    multiple=True,
    help="Customer: give an alarm another metric and threshold.",
)
@click.option(
    "--delete-alarm",
    type=click.IntRange(min=1),
    metavar="ID",
    multiple=True,
    help="Customer: delete an alarm.",
)
@click.option(
    "--conflicts",
    is_flag=True,
    help="Customer: only list readings that were sent and differ from the stored ones.",
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
        work = job(arguments, int(time.time()), _zone(arguments, view))
        allowed = access(arguments, view.warn)
        if allowed.verifier is None:
            view.warn(UNVERIFIED)
        if isinstance(work, MeterJob):
            view.delivery(work.delivery)
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
    if summary.errors:
        sys.exit(EXIT_FAILED)
    sys.exit(0 if summary.complete else EXIT_NOT_DELIVERED)


def _zone(arguments: Arguments, view: View) -> dt.tzinfo:
    if arguments.zone is not None:
        return arguments.zone
    zone, warning = moments.zone_of(os.environ)
    if warning is not None:
        view.warn(warning)
    return zone


def _check_places(arguments: Arguments) -> None:
    """What is written at the end must have a place, which is said at the beginning."""
    for option, file in (("--json", arguments.json_file), ("--png", arguments.png)):
        if file is not None and not file.absolute().parent.is_dir():
            raise click.UsageError(f"there is no directory {file.parent} for {option}")


def _show(arguments: Arguments, work: Job, view: View) -> None:
    match work:
        case CurveJob(answer=Curve() as curve):
            _show_curve(arguments, curve, view)
        case AlarmsJob(answer=list() as alarms):
            view.alarms(alarms)
        case ConflictsJob(answer=list() as conflicts):
            view.conflicts(conflicts)
        case _:
            pass


def _show_curve(arguments: Arguments, curve: Curve, view: View) -> None:
    if not curve.points:
        view.say(f"There are no {curve.metric} readings in the period.")
        return
    drawn = chart.Chart(curve, arguments.uid)
    if arguments.draw:
        view.chart(drawn)
    elif arguments.png is None:
        view.averages(curve)
    if arguments.png is not None:
        chart.png(drawn, arguments.png)
        view.say(f"chart written to {arguments.png}")
