"""The wrapper's part in attestation, put together from its settings."""

import contextlib
import datetime as dt
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from app_wrapper.attesting.registrar import Issues, Registrar
from app_wrapper.attesting.users import Users
from app_wrapper.process import Process
from app_wrapper.settings import Attestation, Settings
from attestation import sealing, signed_policy, trust
from attestation.audit import AuditLog
from attestation.collateral import Collateral
from attestation.errors import EvidenceUnavailableError
from attestation.evidence import Attester
from attestation.issuing.freshness import FreshnessStore
from attestation.issuing.issuer import Issuer, Unattested
from attestation.issuing.messages import Source
from attestation.quote import EnclaveIdentity
from attestation.soft.attester import SoftAttester
from attestation.soft.collateral import CollateralIssuer
from attestation.soft.platform import SoftPlatform
from standby import pki
from standby.errors import PlatformError
from standby.ids import BootId
from standby.logs import EventLog
from standby.seal import Seal
from standby.settings import SettingsError

SIGNING_KEY: Final = "signing.key"
UNSIGNED: Final = bytes(32)
"""The signer of a simulated process: nobody has signed its program."""
_SOURCES: Final = {
    Attestation.OFF: Source.NOBODY,
    Attestation.SOFT_DCAP: Source.PLATFORM,
    Attestation.GRAMINE_DCAP: Source.GRAMINE,
}
log = EventLog(__name__)


def registrar(
    settings: Settings,
    process: Callable[[BootId], Process | None],
    stack: contextlib.ExitStack | contextlib.AsyncExitStack,
) -> Registrar | None:
    """Who answers servers' requests; None if they get no channel. What it holds open is closed with `stack`.

    Raises:
        SettingsError: a setting is missing, or its file cannot be used.
    """
    if settings.issuer_certificate is None:
        if settings.attestation not in {Attestation.OFF, Attestation.SCONE_CAS}:
            raise _missing("issuer_certificate", settings)
        log.warning(
            "logins_not_proved",
            text="servers have no channel to this wrapper, so each is believed about who its user is",
        )
        return None
    if settings.attestation is Attestation.SCONE_CAS:
        raise SettingsError(
            "with scone-cas SCONE's CAS certifies servers; unset issuer_certificate"
        )
    try:
        return _made(settings, process, stack)
    except (OSError, ValueError, PlatformError) as error:
        raise SettingsError(f"attestation cannot be set up: {error}") from error


def _made(
    settings: Settings,
    process: Callable[[BootId], Process | None],
    stack: contextlib.ExitStack | contextlib.AsyncExitStack,
) -> Registrar:
    seal = sealing.load(_needed(settings.seal_key, "seal_key", settings))
    authority = pki.Authority.load(
        _needed(settings.issuer_certificate, "issuer_certificate", settings),
        _needed(settings.issuer_key, "issuer_key", settings),
        seal,
    )
    issuer, attester = _issuer(settings, authority, seal, stack)
    return Registrar(
        issuer,
        _SOURCES[settings.attestation],
        attester,
        FreshnessStore(_needed(settings.freshness_dir, "freshness_dir", settings), seal),
        Users(_needed(settings.user_authorities, "user_authorities", settings)),
        process,
    )


def _issuer(
    settings: Settings,
    authority: pki.Authority,
    seal: Seal,
    stack: contextlib.ExitStack | contextlib.AsyncExitStack,
) -> tuple[Issues, Callable[[str], Attester]]:
    if settings.attestation is Attestation.OFF:
        log.warning("not_attested", text="servers need to prove nothing: attestation=off")
        return Unattested(authority), _nobody
    policy_file = _needed(settings.policy, "policy", settings)
    trusted = trust.load(policy_file)
    audit_dir = _needed(settings.audit_dir, "audit_dir", settings)
    audit_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = sealing.signing_key(audit_dir / SIGNING_KEY, seal)
    audit = AuditLog.open(audit_dir, key, segment=settings.audit_segment)
    stack.callback(audit.close)
    collateral, attester = _platform(settings, seal)
    newest = partial(signed_policy.load, policy_file)  # it may be replaced while this wrapper runs
    issuer = Issuer(authority, trusted, collateral, audit, newest_policy=newest)
    return issuer, attester


def _platform(
    settings: Settings, seal: Seal
) -> tuple[Callable[[float], Collateral], Callable[[str], Attester]]:
    """Where collateral comes from, and who speaks about servers."""
    if settings.attestation is Attestation.GRAMINE_DCAP:
        file = _needed(settings.collateral, "collateral", settings)
        return lambda _now: Collateral.load(file), _nobody
    platform = SoftPlatform.load(_needed(settings.platform_dir, "platform_dir", settings), seal)
    owner = CollateralIssuer(platform)
    log.warning(
        "attestation_is_simulated",
        text="this wrapper signs for its servers itself, which protects nothing from who runs this machine",
    )
    return (
        lambda now: owner.at(dt.datetime.fromtimestamp(now, dt.UTC)),
        lambda measurement: SoftAttester(platform, identity_of(measurement)),
    )


def identity_of(measurement: str) -> EnclaveIdentity:
    """A simulated process of this measurement (64 hex digits)."""
    return EnclaveIdentity(
        mrenclave=bytes.fromhex(measurement), mrsigner=UNSIGNED, product_id=0, svn=0
    )


def _nobody(_measurement: str) -> Attester:
    raise EvidenceUnavailableError("this wrapper has no platform that gives evidence")


def _needed(file: Path | None, name: str, settings: Settings) -> Path:
    if file is None:
        raise _missing(name, settings)
    return file


def _missing(name: str, settings: Settings) -> SettingsError:
    return SettingsError(f"attestation={settings.attestation} needs {name}")
