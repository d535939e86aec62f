"""By what a platform's servers are admitted: what `standby up` makes of `--attestation` and `--policy`.

                 without --policy                                             with --policy
    soft-dcap    the installed policy, else the platform's own                it is checked and installed
    gramine-dcap the installed policy; without one it is an error             it is checked and installed
    scone-cas    nothing: CAS decides, by its own sessions                    it is installed, for clients
    off          nothing: servers get certificates without proof              wrong

The platform's own policy (`standby_cli.kept_policy`) admits what is measured now, with the environment and the
launcher that wrappers will have. A policy with Intel's root is no use with simulated evidence, nor the other way round;
that is said before anything is started.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from app_wrapper.settings import Attestation
from attestation import lint, policy, trust
from attestation.claims import Root
from attestation.measure.manifest import explain
from attestation.policy import Policy, PolicyError
from attestation.soft.keeping import KEYS_FILE
from attestation.soft.platform import SoftPlatform
from attestation.trust import Trust
from attestation.trust_files import ROOT_FILE
from standby import decode, durable
from standby.decode import UnreadableError
from standby.errors import words
from standby.seal import Seal
from standby_cli import kept_policy
from standby_cli import seal as seal_keys
from standby_cli.errors import CommandError
from standby_cli.layout import Layout
from standby_cli.measure import Measured
from standby_cli.options import Options
from standby_cli.program import Program
from standby_cli.progress import Tell
from standby_cli.seal import SealError

MEASURING: Final = "measuring the servers' program"


class TrustError(CommandError):
    """Nothing could ever be admitted like that; the text says what to change."""


def prepare(
    options: Options, layout: Layout, seal: Seal, tell: Tell, measure: Callable[[], Program]
) -> Trust | None:
    """Put the `trust` directory in order; returns what servers are admitted by, None where wrappers do not decide.

    Args:
        options: of `standby up`.
        layout: of the platform; nobody else may be starting one there.
        seal: for the simulated platform's keys.
        tell: told what takes time, and what customers must know.
        measure: measures the program; only called if the platform's own policy is wanted.

    Raises:
        TrustError: the options do not fit each other, or the policy that is there.
        PolicyError: the policy is none, or is worthless.
        MeasureError: the program cannot be measured.
        SealError: the simulated platform's keys cannot be opened.
    """
    kind = options.attestation
    if kind is Attestation.SOFT_DCAP:
        make_platform(layout, seal)
    if options.policy:
        _install(options.policy, kind, layout)
    elif kind is Attestation.SOFT_DCAP and not kept_policy.is_installed(layout.policy):
        _follow_the_program(layout, tell, measure)
    if kind in {Attestation.OFF, Attestation.SCONE_CAS}:
        return None
    if not kept_policy.is_installed(layout.policy) and kind is not Attestation.SOFT_DCAP:
        raise TrustError(f"--attestation {kind} needs a --policy; there is none for it here yet")
    found = trust.load(layout.policy)
    _check_root(found.policy, layout.policy, kind)
    return found


def described(kind: Attestation, found: Trust | None) -> str:
    """The line in which `standby up` says it."""
    if kind is Attestation.SCONE_CAS:
        return f"attestation: {kind}: SCONE's CAS decides"
    if found is None:
        return "attestation: off: servers prove nothing, and clients that have a policy refuse them"
    which = f"SIMULATED ({kind})" if found.policy.root is Root.SIMULATED else kind.value
    digest = policy.short(policy.digest(found.policy))
    return f"attestation: {which}, policy version {found.policy.version} ({digest})"


def make_platform(layout: Layout, seal: Seal) -> None:
    """Make the simulated platform, or see that the one that is there can be opened.

    Raises:
        SealError: its keys are gone while customers may have its root, or they cannot be opened.
    """
    keys = layout.trust / KEYS_FILE
    if not keys.exists() and layout.policy.exists() and layout.simulated_root.exists():
        raise SealError(
            f"{keys} is gone; put it back, or take {layout.simulated_root} away to begin a new simulated platform:"
            " customers must be enrolled again then"
        )
    if not keys.exists():
        SoftPlatform.create().save(layout.trust, seal)
        return
    try:
        SoftPlatform.load(layout.trust, seal)
    except ValueError as error:
        raise seal_keys.unopened(keys, layout, error) from error


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except UnicodeDecodeError as error:
        raise PolicyError(f"cannot use {file}: {words(error)}") from error


def _install(file: Path, kind: Attestation, layout: Layout) -> None:
    found = policy.load(file)
    try:
        lint.refuse_worthless(found)
    except PolicyError as error:
        raise TrustError(f"{file}: {error}") from error
    _check_root(found, file, kind)
    beside = file.with_name(ROOT_FILE)
    simulated = found.root is Root.SIMULATED and beside.exists()
    if simulated and beside.read_bytes() != layout.simulated_root.read_bytes():
        raise TrustError(f"{beside} is another platform's; {layout.simulated_root} is this one's")
    durable.replace(layout.policy, kept_policy.plain(_text(file)).encode())
    layout.measured.unlink(missing_ok=True)


def _check_root(found: Policy, file: Path, kind: Attestation) -> None:
    simulated = kind is Attestation.SOFT_DCAP
    if simulated == (found.root is Root.SIMULATED):
        return
    made = "SIMULATED evidence" if simulated else "evidence of a processor"
    raise TrustError(
        f'{file} has root = "{found.root}", and --attestation {kind} makes {made}:'
        " no server could ever be admitted"
    )


def _follow_the_program(layout: Layout, tell: Tell, measure: Callable[[], Program]) -> None:
    """Make the platform's own policy, or the next version of it, if the program is not the one that it admits."""
    tell(MEASURING)
    program = measure()
    before = policy.load(layout.policy) if layout.policy.exists() else None
    if before and kept_policy.admits(before, program.measured.measurement):
        return
    version = before.version + 1 if before else 1
    what = _differs(layout, program)
    durable.replace(layout.measured, msgspec.json.encode(program.measured))
    durable.replace(layout.policy, kept_policy.own(program.policy(version)).encode())
    if before:
        tell(
            f"the servers' program has changed since policy version {before.version} ({what}): this is version"
            f" {version}; send customers {layout.policy}; it replaces the policy.toml beside their ca.pem"
        )


def _differs(layout: Layout, program: Program) -> str:
    """What has changed since the last measurement, shortly."""
    try:
        before = decode.json(layout.measured.read_bytes(), Measured)
    except (OSError, UnreadableError):
        return "what exactly is not known"
    differences = explain(before.manifest, program.measured.manifest)
    first = "".join(f"{each.kind} {each.name}" for each in differences[:1])
    return f"{first} and {len(differences) - 1} more" if len(differences) > 1 else first
