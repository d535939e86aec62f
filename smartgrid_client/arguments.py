"""From the command line's values to what a run needs; says what cannot go together before anything is sent."""

import datetime as dt
import itertools
import math
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from attestation import trust
from attestation.collateral import Collateral
from attestation.trust_files import POLICY_FILE
from smartgrid_client import chart, freshness, generator, readings
from smartgrid_client.batches import Batch, BatchSize, batches, densify
from smartgrid_client.connection import Address
from smartgrid_client.credentials import Credentials
from smartgrid_client.customer import Workload
from smartgrid_client.freshness import Memory
from smartgrid_client.messages import Metric
from smartgrid_client.newer_policy import NewerPolicies
from smartgrid_client.options import Mode, load_key
from smartgrid_client.own_certificate import OwnCertificate
from smartgrid_client.private_key import ask_on_terminal, passphrase_from
from smartgrid_client.readings import Reading, Skips
from smartgrid_client.retry import Policy
from smartgrid_client.run import Access, ChartJob, CustomerJob, Job, MeterJob, Pace
from smartgrid_client.verifier import Verifier
from standby.identity import Role
from standby.ids import Uid
from standby.tls import TlsFiles

_ROLES: Final = {Mode.METER: Role.METER, Mode.CUSTOMER: Role.CUSTOMER}


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """Times and lengths are in seconds."""

    server: str
    port: int
    uid: Uid
    cert: Path
    private_key: Path
    passphrase_file: Path | None
    authorities: Path
    policy: Path | None
    newer_policy: Path | None
    collateral: Path | None
    skip_attestation: bool
    keydir: Path
    accept_older: bool
    mode: Mode
    duration: float
    frequency: float
    write_ratio: float
    csv: bool
    json_file: Path | None
    retry: float
    readings_file: Path | None
    batch: BatchSize
    step: int | None
    seed: str | None
    draw: bool
    png: Path | None
    metric: str | None
    start: int | None
    end: int | None
    bucket: float | None

    @property
    def whole_bucket(self) -> int | None:
        return None if self.bucket is None else int(self.bucket)


def access(arguments: Arguments, told: Callable[[str], None]) -> Access:
    """Address, certificates, key, and what a server must be; `told` hears what the user should know.

    Raises:
        ValueError: options that do not go together, or the key's or freshness file cannot be used.
        CredentialsError: the certificate is not this user's for this mode, or not valid now, or its key is another.
        PolicyError: the policy cannot be used.
        CollateralError: the file of collateral cannot be used.
    """
    _check_skipping(arguments)
    return Access(
        credentials=_credentials(arguments),
        verifier=_verifier(arguments, told),
        memory=Memory(
            freshness.file_for(arguments.keydir), told, accept_older=arguments.accept_older
        ),
        address=Address(arguments.server, arguments.port, arguments.uid),
        key=load_key(arguments.keydir),
        policy=Policy(deadline=arguments.retry),
    )


def _credentials(arguments: Arguments) -> Credentials:
    certificate = OwnCertificate.read(arguments.cert)
    certificate.check(arguments.uid, _ROLES[arguments.mode], dt.datetime.now(dt.UTC))
    given = arguments.passphrase_file
    ask = ask_on_terminal if given is None else passphrase_from(given)
    files = TlsFiles(
        certificate=arguments.cert, key=arguments.private_key, authorities=arguments.authorities
    )
    return Credentials.load(files, ask)


def _verifier(arguments: Arguments, told: Callable[[str], None]) -> Verifier | None:
    given = arguments.collateral
    if arguments.skip_attestation:
        return None
    file = arguments.policy or arguments.authorities.with_name(POLICY_FILE)
    if not file.exists():
        raise ValueError(
            f"there is no {file}, which says what a server must be before it gets the key: have it "
            "beside the --ca file (`standby enroll` puts it there), or pass --policy FILE"
        )
    found, newer = trust.load(file), NewerPolicies(file, told)
    if arguments.newer_policy is not None:
        found = newer.take_file(found, arguments.newer_policy) or found
    return Verifier(found, None if given is None else Collateral.load(given), newer)


def _check_skipping(arguments: Arguments) -> None:
    if not arguments.skip_attestation:
        return
    if arguments.policy is not None or arguments.collateral is not None:
        raise ValueError(
            "--insecure-skip-attestation verifies no server: leave it out, or --policy and --collateral"
        )
    if arguments.mode is Mode.METER:
        raise ValueError(
            "--insecure-skip-attestation is not for meters: nobody reads a meter's warnings (--policy)"
        )


def job(arguments: Arguments, now: int) -> Job:
    """What to do in the session; `now` (Unix seconds) is where made-up readings end.

    Raises:
        ValueError: options that do not go together.
        ReadingsError: the first batch of the file cannot be read.
    """
    _check(arguments)
    if arguments.mode is Mode.METER:
        return _meter_job(arguments, now)
    if arguments.draw or arguments.png is not None:
        bucket = arguments.whole_bucket or chart.choose_bucket(arguments.start, arguments.end)
        metric = Metric(arguments.metric or Metric.POWER)
        return ChartJob(metric, arguments.start, arguments.end, bucket)
    workload = Workload(
        write_ratio=arguments.write_ratio,
        metric=None if arguments.metric is None else Metric(arguments.metric),
        start=arguments.start,
        end=arguments.end,
        bucket=arguments.whole_bucket,
        dice=random.Random(arguments.seed),  # noqa: S311  # a mix of requests, not a secret
    )
    return CustomerJob(workload, _pace(arguments))


def _check(arguments: Arguments) -> None:
    start, end, bucket = arguments.start, arguments.end, arguments.bucket
    if start is not None and end is not None and start >= end:
        raise ValueError("--start must be before --end")
    if bucket is not None and (bucket < 1 or bucket != int(bucket)):
        raise ValueError("--bucket is whole seconds, at least 1")
    if arguments.mode is Mode.METER and (arguments.draw or arguments.png is not None):
        raise ValueError("charts are for customers: a meter may not ask for averages (--mode 2)")
    if arguments.mode is Mode.CUSTOMER and arguments.readings_file is not None:
        raise ValueError("--readings is for meters: a customer may not push readings (--mode 1)")


def _pace(arguments: Arguments) -> Pace:
    return Pace(arguments.frequency, arguments.duration)


def _meter_job(arguments: Arguments, now: int) -> MeterJob:
    skips: Skips = Counter()
    file = arguments.readings_file
    found = _made_up(arguments, now) if file is None else _from_file(file, arguments, skips)
    made = batches(found, arguments.batch)
    first = next(made, None)
    if first is None:
        raise ValueError("there are no readings to push in this file and period")
    every: Iterator[Batch] = itertools.chain((first,), made)
    return MeterJob(every, _pace(arguments), skips)


def _from_file(file: Path, arguments: Arguments, skips: Skips) -> Iterator[Reading]:
    start, end = arguments.start or 0, arguments.end or math.inf
    found = readings.read_file(file, skips)
    wanted = (each for each in found if start <= each.timestamp < end)
    return wanted if arguments.step is None else densify(wanted, arguments.step)


def _made_up(arguments: Arguments, now: int) -> Iterator[Reading]:
    """Whole batches up to now, as many as the session has requests, or of one day without a pause."""
    step = arguments.step or generator.STEP
    size = arguments.batch.seconds or (arguments.batch.rows or 1) * step
    end = arguments.end or now // size * size
    count = (
        arguments.duration / arguments.frequency if arguments.frequency else generator.DAY / size
    )
    start = end - size * max(1, math.ceil(count)) if arguments.start is None else arguments.start
    return generator.generate(max(0, start), end, arguments.seed or arguments.uid, step)
