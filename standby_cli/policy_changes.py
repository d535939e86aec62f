"""`standby policy new-key`, `sign`, `admit` and `withdraw`: the next version of a policy, signed.

`admit` and `withdraw` change the policy of a platform. Its own policy is signed with the platform's key. One that was
installed has its key elsewhere, and that key has to be passed (`--key`); the public part here must fit, or clients
would not follow. `sign` is for files outside of a platform, and never uses a platform's key: clients would take a
policy that an operator wrote for one that the platform made.

Wrappers judge by the policy that they were started with, so they are restarted after a change. Clients learn of it from
servers that get their certificates from now on.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from attestation import lint, policy, policy_signing, policy_text, rollover, signed_policy, trust
from attestation.claims import Root
from attestation.policy import Policy
from attestation.trust_files import KEY_FILE
from standby import durable, pki
from standby_cli import commands, kept_policy, policy_keys
from standby_cli.authorities import Authorities
from standby_cli.commands import say
from standby_cli.errors import CommandError
from standby_cli.layout import Layout

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_NEW_FILE: Final = click.Path(exists=False, dir_okay=False, path_type=Path)
_MEASUREMENT: Final = re.compile("[0-9a-f]{64}")


class PolicyChangeError(CommandError):
    """The policy cannot be changed or signed like that; nothing was changed."""


def _measurements(
    _context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]
) -> tuple[str, ...]:
    for text in texts:
        if not _MEASUREMENT.fullmatch(text):
            raise click.BadParameter(f"{text!r}: 64 hex digits in lower case are expected")
    return texts


_measurement = click.option(
    "--measurement",
    "given",
    multiple=True,
    callback=_measurements,
    metavar="HEX",
    help="Of a program, as `standby measure` prints it; may be repeated.  [default: what is measured here now]",
)
_key = click.option(
    "--key",
    "key_file",
    type=_FILE,
    help="The key of the policy's writer.  [default: the platform's, for the policy that it made itself]",
)


@click.command("new-key")
@click.argument("file", type=_NEW_FILE)
def new_key_command(file: Path) -> None:
    """Make a key that signs policies: FILE, and its public part beside it as policy-key.pem.

    Keep FILE off the platform: its holder says which servers the clients trust.
    """
    public = file.with_name(KEY_FILE)
    for each in (file, public):
        if each.exists():
            raise PolicyChangeError(f"{each} exists; it would be overwritten: choose another place")
    key = Ed25519PrivateKey.generate()
    pki.write_private(file, policy_signing.private_pem(key))
    public.write_bytes(policy_signing.public_pem(key))
    say(f"{file} signs policies: keep it secret; {public} is for clients, beside their policy.toml")


@click.command("sign")
@click.argument("file", type=_FILE)
@click.option("--key", "key_file", type=_FILE, required=True, help="The key of its writer.")
def sign_command(file: Path, key_file: Path) -> None:
    """Sign the policy in FILE, in its last line, and put the public key beside it.

    Clients that have this public key take the policy if its version is greater than that of theirs.
    """
    key = policy_signing.load_private(key_file)
    content = signed_policy.unsigned(file.read_bytes())
    found = policy.parse(content, str(file))
    lint.refuse_worthless(found)
    public, pem = file.with_name(KEY_FILE), policy_signing.public_pem(key)
    if public.exists() and public.read_bytes() != pem:
        raise PolicyChangeError(
            f"{public} is another key's; take it away if the policy changes hands"
        )
    signed = policy_signing.sign(content, key)
    durable.replace(public, pem, 0o644)
    durable.replace(file, signed.content, file.stat().st_mode & 0o777)
    say(f"{file}: policy version {found.version} is signed")


@click.command("admit")
@commands.state_dir
@_measurement
@_key
def admit_command(state_dir: Path, given: tuple[str, ...], key_file: Path | None) -> None:
    """Admit another program besides: the next version of the platform's policy.

    Then restart the wrappers (`standby restart all`), and take the old program away (`standby policy withdraw`).
    Measure in the environment that `standby up` has.
    """
    layout = Layout(state_dir.absolute())

    def change(before: Policy) -> Policy:
        added, name = _wanted(layout, before, given)
        return rollover.admit(before, added, name)

    _roll(layout, key_file, change, "restart the wrappers: `standby restart all`")


@click.command("withdraw")
@commands.state_dir
@_measurement
@_key
def withdraw_command(state_dir: Path, given: tuple[str, ...], key_file: Path | None) -> None:
    """Admit no other program any more: the next version of the platform's policy.

    Clients that have it refuse servers of other programs at once. Wrappers do so when they are restarted.
    """
    layout = Layout(state_dir.absolute())

    def change(before: Policy) -> Policy:
        return rollover.withdraw(before, _wanted(layout, before, given)[0])

    _roll(layout, key_file, change, "wrappers judge by it after a restart")


COMMANDS: Final = (new_key_command, sign_command, admit_command, withdraw_command)


def _wanted(layout: Layout, before: Policy, given: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """The measurements that are meant, and a name for their variant."""
    if given:
        return given, "admitted"
    if before.root is Root.INTEL:
        raise PolicyChangeError(
            "what an enclave measures is not measured here: pass its --measurement"
        )
    from app_wrapper.settings import Attestation  # noqa: PLC0415  # loads what measures programs
    from standby_cli import program  # noqa: PLC0415

    found = program.measured(Attestation.SOFT_DCAP, layout, Authorities(layout).seal)
    return (found.measured.measurement,), found.variant


def _roll(
    layout: Layout, key_file: Path | None, change: Callable[[Policy], Policy], then: str
) -> None:
    authorities = Authorities(layout)
    with layout.alone(policy_keys.LOCK):
        if not layout.policy.exists():
            raise PolicyChangeError(
                f"there is no {layout.policy}: `standby up` makes or installs it"
            )
        found = trust.load(layout.policy).policy
        key = _signing_key(layout, authorities, key_file)
        before = replace(found, version=max(found.version, policy_keys.highest_version(layout)))
        after = change(before)
        if after == before:
            say(f"policy version {found.version} says so already")
            return
        text = policy_text.write(after)
        own = kept_policy.is_own_file(layout.policy)
        policy_keys.put(layout, kept_policy.own(text) if own else text, key)
        authorities.renew_stale_issuers(trust.load(layout.policy))
    say(
        f"policy version {after.version}: {len(rollover.measurements(after))} measurement(s) admitted; {then}"
    )


def _signing_key(
    layout: Layout, authorities: Authorities, key_file: Path | None
) -> Ed25519PrivateKey:
    if key_file is None and kept_policy.is_own_file(layout.policy):
        return policy_keys.own(layout, authorities.seal)
    if key_file is None:
        raise PolicyChangeError(
            f"{layout.policy} was installed, and the key of its writer is not here: pass --key, or change the file"
            " where the key is (`standby policy sign`) and install it with `standby up --policy`"
        )
    key = policy_signing.load_private(key_file)
    pinned = layout.policy_key
    if not pinned.exists() or pinned.read_bytes() != policy_signing.public_pem(key):
        raise PolicyChangeError(
            f"{key_file} is not the key of {pinned}, which clients have: they would not take what it signs"
        )
    return key
