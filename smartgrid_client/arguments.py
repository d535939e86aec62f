"""The command line's values, and whose session it is, where, with which keys (`Access`)."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from attestation import trust
from attestation.collateral import Collateral
from attestation.trust_files import POLICY_FILE
from smartgrid_client import freshness
from smartgrid_client.batches import BatchSize
from smartgrid_client.columns import Columns
from smartgrid_client.connection import Address
from smartgrid_client.credentials import Credentials
from smartgrid_client.freshness import Memory
from smartgrid_client.messages import Alarm
from smartgrid_client.newer_policy import NewerPolicies
from smartgrid_client.options import Mode, load_key
from smartgrid_client.own_certificate import OwnCertificate
from smartgrid_client.periods import Bucket
from smartgrid_client.private_key import ask_on_terminal, passphrase_from
from smartgrid_client.retry import Policy
from smartgrid_client.run import Access
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
    duration: float | None
    """None: as long as suits the mode."""
    frequency: float | None
    write_ratio: float
    csv: bool
    json_file: Path | None
    retry: float
    readings_file: Path | None
    batch: BatchSize
    step: int | None
    seed: str | None
    columns: Columns | None
    skip_bad: bool
    correct: bool
    earliest: str | None
    latest: str | None
    draw: bool
    png: Path | None
    metric: str | None
    start: str | None
    end: str | None
    bucket: Bucket | None
    zone: dt.tzinfo | None
    alarms: bool
    add_alarm: tuple[Alarm, ...]
    change_alarm: tuple[tuple[int, Alarm], ...]
    delete_alarm: tuple[int, ...]
    conflicts: bool

    @property
    def shows_curve(self) -> bool:
        return self.draw or self.png is not None or self.bucket is not None

    @property
    def changes_alarms(self) -> bool:
        """Or lists them."""
        return bool(self.alarms or self.add_alarm or self.change_alarm or self.delete_alarm)


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
