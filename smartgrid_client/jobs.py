"""From the command line's values to what is done in the session.

What cannot go together is said before anything is sent.
"""

import datetime as dt
import itertools
import math
import random
from collections.abc import Iterator, Mapping
from typing import Final

from smartgrid_client import curve, delivery, generator, readings
from smartgrid_client.arguments import Arguments
from smartgrid_client.batches import batches
from smartgrid_client.customer import Workload
from smartgrid_client.delivery import Delivery
from smartgrid_client.messages import Metric
from smartgrid_client.moments import Clock
from smartgrid_client.options import Mode
from smartgrid_client.readings import Format, Reading
from smartgrid_client.run import (
    AlarmsJob,
    ConflictsJob,
    CurveJob,
    CustomerJob,
    Job,
    MeterJob,
    Pace,
)
from standby.deadlines import SESSION_LENGTH

FREQUENCY: Final = 10.0
"""Seconds; the dissertation's most frequent use (section 5.2.1)."""


def job(arguments: Arguments, now: int, zone: dt.tzinfo) -> Job:
    """What to do in the session.

    Args:
        arguments: of the command line
        now: Unix seconds; where made-up readings end, and times of files have to
        zone: of times that name none

    Raises:
        ValueError: options that do not go together.
        ReadingsError: the file cannot be read, or has nothing to push.
    """
    period = _period(arguments, zone)
    _check(arguments)
    if arguments.mode is Mode.METER:
        return _meter_job(arguments, period, now, zone)
    if arguments.changes_alarms:
        return AlarmsJob(arguments.add_alarm, arguments.change_alarm, arguments.delete_alarm)
    if arguments.conflicts:
        return ConflictsJob()
    metric = None if arguments.metric is None else Metric(arguments.metric)
    if arguments.shows_curve:
        start, end = period
        wanted = curve.Wanted(metric or Metric.POWER, zone, start, end, arguments.bucket)
        return CurveJob(wanted)
    workload = Workload(
        write_ratio=arguments.write_ratio,
        metric=metric,
        start=period[0],
        end=period[1],
        dice=random.Random(arguments.seed),  # noqa: S311  # a mix of requests, not a secret
    )
    return CustomerJob(workload, _pace(arguments, FREQUENCY, SESSION_LENGTH))


def _period(arguments: Arguments, zone: dt.tzinfo) -> tuple[int | None, int | None]:
    start, end = (
        _moment(name, text, zone)
        for name, text in (("--start", arguments.start), ("--end", arguments.end))
    )
    if start is not None and end is not None and start >= end:
        raise ValueError("--start must be before --end")
    return start, end


def _moment(option: str, text: str | None, zone: dt.tzinfo) -> int | None:
    try:
        return None if text is None else Clock(zone).read(text.strip())
    except ValueError as error:
        raise ValueError(f"{option}: {error}") from error


def _check(arguments: Arguments) -> None:
    """Refuse an option that would have no effect.

    Raises:
        ValueError: it is for another mode, or needs another option.
    """
    given = arguments
    of_files = {
        "--columns": given.columns,
        "--skip-bad": given.skip_bad,
        "--earliest": given.earliest,
        "--latest": given.latest,
    }
    of_meters = {"--readings": given.readings_file, "--correct": given.correct, **of_files}
    of_customers = {
        "--bucket": given.bucket,
        "--conflicts": given.conflicts,
        "--alarms": given.alarms,
        "--add-alarm": given.add_alarm,
        "--change-alarm": given.change_alarm,
        "--delete-alarm": given.delete_alarm,
    }
    if given.mode is Mode.METER:
        if given.draw or given.png is not None:
            raise ValueError(
                "charts are for customers: a meter may not ask for averages (--mode 2)"
            )
        _refuse(of_customers, "is for customers: a meter only pushes readings (--mode 2)")
    else:
        _refuse(of_meters, "is for meters: a customer may not push readings (--mode 1)")
    if given.readings_file is None:
        _refuse(of_files, "is about a file: it needs --readings FILE")
    if given.shows_curve + given.conflicts + given.changes_alarms > 1:
        raise ValueError("averages, alarms and conflicts are asked for one at a time")


def _refuse(options: Mapping[str, object], why: str) -> None:
    for option, given in options.items():
        if given:
            raise ValueError(f"{option} {why}")


def _pace(arguments: Arguments, frequency: float, duration: float) -> Pace:
    """As the user says, else these."""
    given = arguments.frequency, arguments.duration
    return Pace(
        frequency if given[0] is None else given[0], duration if given[1] is None else given[1]
    )


def _meter_job(
    arguments: Arguments, period: tuple[int | None, int | None], now: int, zone: dt.tzinfo
) -> MeterJob:
    if arguments.readings_file is None:
        pace = _pace(arguments, FREQUENCY, SESSION_LENGTH)
        made = batches(_made_up(arguments, pace, period, now), arguments.batch)
        first = next(made, None)
        if first is None:
            raise ValueError("there are no readings to push in this period")
        return MeterJob(Delivery(itertools.chain((first,), made)), pace, arguments.correct)
    earliest = _moment("--earliest", arguments.earliest, zone)
    latest = _moment("--latest", arguments.latest, zone)
    form = Format(
        columns=arguments.columns,
        zone=zone,
        earliest=readings.EARLIEST if earliest is None else earliest,
        latest=now + readings.AHEAD if latest is None else latest,
        hint=" (--earliest, --latest)",
    )
    start, end = period
    wanted = delivery.Wanted(
        form=form,
        start=start or 0,
        end=math.inf if end is None else end,
        step=arguments.step,
        size=arguments.batch,
        skip_bad=arguments.skip_bad,
    )
    found = delivery.of_file(arguments.readings_file, wanted)
    # a file is there to be pushed whole
    return MeterJob(found, _pace(arguments, 0.0, math.inf), arguments.correct)


def _made_up(
    arguments: Arguments, pace: Pace, period: tuple[int | None, int | None], now: int
) -> Iterator[Reading]:
    """Whole batches up to now, as many as the session has requests, or of one day without a pause."""
    step = arguments.step or generator.STEP
    size = arguments.batch.seconds or (arguments.batch.rows or 1) * step
    start, end = period[0], period[1] or now // size * size
    count = pace.duration / pace.frequency if pace.frequency else generator.DAY / size
    first = end - size * max(1, math.ceil(count)) if start is None else start
    return generator.generate(max(0, first), end, arguments.seed or arguments.uid, step)
