"""By what a platform's servers are admitted: what `standby up` makes of `--attestation` and `--policy`.

                 without --policy                                             with --policy
    soft-dcap    the installed policy, else the platform's own                it is checked and installed
    gramine-dcap the installed policy; without one it is an error             it is checked and installed
    scone-cas    nothing: CAS decides, by its own sessions                    it is installed, for clients
    off          nothing: servers get certificates without proof              wrong

The platform's own policy (`standby_cli.kept_policy`) admits what is measured now, with the environment and the
launcher that wrappers will have. While wrappers of a running platform are restarted one after the other it goes on to
admit what it admitted before: clients that have the newer version still meet servers of the old program. A policy with
Intel's root is no use with simulated evidence, nor the other way round; that is said before anything is started.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from app_wrapper.settings import Attestation
from attestation import lint, policy, policy_signing, rollover, signed_policy, trust
from attestation.claims import Root
from attestation.measure.manifest import explain
from attestation.policy import Policy, PolicyError
from attestation.policy_signing import ForgedPolicyError
from attestation.signed_policy import SignedPolicy
from attestation.soft.keeping import KEYS_FILE
from attestation.soft.platform import SoftPlatform
from attestation.trust import Trust
from attestation.trust_files import KEY_FILE, ROOT_FILE
from standby import decode, durable
from standby.decode import UnreadableError
from standby.errors import words
from standby.seal import Seal
from standby_cli import kept_policy, policy_keys
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
    options: Options,
    layout: Layout,
    seal: Seal,
    tell: Tell,
    measure: Callable[[], Program],
    *,
    rolling: bool = False,
) -> Trust | None:
    """Put the `trust` directory in order; returns what servers are admitted by, None where wrappers do not decide.

    Args:
        options: of `standby up`.
        layout: of the platform; nobody else may be starting one there.
        seal: for the simulated platform's keys.
        tell: told what takes time, and what customers must know.
        measure: measures the program; only called if the platform's own policy is wanted.
        rolling: servers of an older program go on, so they stay admitted by the platform's own policy.

    Raises:
        TrustError: the options do not fit each other, or the policy that is there.
        PolicyError: the policy is none, or is worthless.
        MeasureError: the program cannot be measured.
        SealError: the simulated platform's keys, or the policy's, cannot be opened.
    """
    kind = options.attestation
    if kind is Attestation.SOFT_DCAP:
        make_platform(layout, seal)
    if options.policy:
        _install(options.policy, kind, layout)
    elif kind is Attestation.SOFT_DCAP and not kept_policy.is_installed(layout.policy):
        with layout.alone(policy_keys.LOCK):
            _follow_the_program(layout, seal, tell, measure, rolling=rolling)
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
    with layout.alone(policy_keys.LOCK):
        put_installed(file, layout)


def put_installed(file: Path, layout: Layout) -> None:
    """As it is, with the key beside it if it is signed. The platform signs nothing that another one wrote."""
    text = _text(file)
    content = kept_policy.plain(text).encode()
    signed = signed_policy.read(content)
    if signed is None or kept_policy.is_own(text):
        layout.policy_key.unlink(missing_ok=True)
        content = signed_policy.unsigned(content)
    else:
        durable.replace(layout.policy_key, _key_of(file, signed))
    durable.replace(layout.policy, content)
    layout.measured.unlink(missing_ok=True)


def _key_of(file: Path, signed: SignedPolicy) -> bytes:
    beside = file.with_name(KEY_FILE)
    try:
        policy_signing.check(signed, policy_signing.load_public(beside))
    except ForgedPolicyError as error:
        raise TrustError(
            f"{file} is not signed by the key in {beside}: sign it again (`standby policy sign`)"
        ) from error
    except PolicyError as error:
        raise TrustError(
            f"{file} is signed, so its public key has to lie beside it: {error}"
        ) from error
    return beside.read_bytes()


def _check_root(found: Policy, file: Path, kind: Attestation) -> None:
    simulated = kind is Attestation.SOFT_DCAP
    if simulated == (found.root is Root.SIMULATED):
        return
    made = "SIMULATED evidence" if simulated else "evidence of a processor"
    raise TrustError(
        f'{file} has root = "{found.root}", and --attestation {kind} makes {made}:'
        " no server could ever be admitted"
    )


def _follow_the_program(
    layout: Layout, seal: Seal, tell: Tell, measure: Callable[[], Program], *, rolling: bool
) -> None:
    """Make the platform's own policy, or the next version of it, if the program is not one that it admits."""
    key = policy_keys.own(layout, seal)
    tell(MEASURING)
    program = measure()
    before = policy.load(layout.policy) if layout.policy.exists() else None
    if before and rollover.names(before, program.measured.measurement):
        if not policy_keys.has_signed(
            key, layout.policy
        ):  # it was made before policies were signed
            policy_keys.put(layout, layout.policy.read_text(), key)
        if rollover.measurements(before) != {program.measured.measurement} and not rolling:
            tell(
                f"policy version {before.version} admits other programs, too: `standby policy withdraw`"
                " makes one that does not"
            )
        return
    version = max(policy_keys.highest_version(layout), before.version if before else 0) + 1
    what = _differs(layout, program)
    text = program.policy(version)
    if before and rolling:
        text = program.admitted_besides(msgspec.structs.replace(before, version=version - 1))
    durable.replace(layout.measured, msgspec.json.encode(program.measured))
    policy_keys.put(layout, kept_policy.own(text), key)
    if before:
        old = (
            "; it still admits the old program, until `standby policy withdraw`" if rolling else ""
        )
        tell(
            f"the servers' program has changed since policy version {before.version} ({what}): this is version"
            f" {version}{old}; enrolled clients take it from the servers, others need {layout.policy} in place of"
            " their policy.toml"
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
