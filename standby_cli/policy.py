"""`standby policy`: is a policy worth anything, and what does it admit? Its changes are in `policy_changes`."""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click
import msgspec
from msgspec import Struct
from rich.console import Console
from rich.table import Table
from rich.text import Text

from attestation.claims import Root
from attestation.findings import Finding, Severity
from attestation.lint import FOR_TESTING, lint
from attestation.policy import Policy, Variant, digest, load
from standby_cli import policy_changes, terminal
from standby_cli.echo import echo
from standby_cli.overview import duration
from standby_cli.terminal import lines, styled

_FILE: Final = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
_AS_JSON: Final = click.option("--json", "as_json", is_flag=True, help="The same as data.")

_WIDEST: Final = 1000
"""Columns; more than any line needs: a measurement that is broken into two lines cannot be copied."""


class Shown(Struct, frozen=True):
    """`standby policy show --json`."""

    digest: str
    policy: Policy


@click.group("policy")
def policy_commands() -> None:
    """Look at policies, sign them, roll them over: files that say which servers may have secrets."""


for _each in policy_changes.COMMANDS:
    policy_commands.add_command(_each)


@policy_commands.command("lint")
@_FILE
@_AS_JSON
def lint_command(file: Path, *, as_json: bool) -> None:
    """Say what makes the policy in FILE worthless (errors) or weak (warnings).

    Exit status: 0 no errors; 1 errors, or FILE is no policy.
    """
    findings = lint(load(file))
    if as_json:
        click.echo(_json(findings))
    else:
        for each in findings:
            echo(f"{each.severity}: {each.path}: {each.text} [{each.code}]")
        echo(f"{file}: {_counted(findings)}", err=True)
    if any(each.severity is Severity.ERROR for each in findings):
        sys.exit(1)


def _counted(findings: Sequence[Finding]) -> str:
    if not findings:
        return "nothing to say against it"
    counts = Counter(each.severity for each in findings)
    return ", ".join(f"{number} {severity}(s)" for severity, number in counts.items())


@policy_commands.command("show")
@_FILE
@_AS_JSON
def show_command(file: Path, *, as_json: bool) -> None:
    """Show what the policy in FILE admits, and the digest by which verdicts name it."""
    policy = load(file)
    if as_json:
        click.echo(_json(Shown(digest(policy), policy)))
    else:
        show(policy, terminal.console(width=_WIDEST))


def _json(data: object) -> str:
    return msgspec.json.format(msgspec.json.encode(data)).decode()


def show(policy: Policy, console: Console) -> None:
    """Print the policy for people."""
    console.print(styled((f"version {policy.version}", "bold"), f", digest {digest(policy)}"))
    if policy.testing:
        console.print(styled(("for testing", "red"), f": {FOR_TESTING}"))
    table = _table("for every server", styled(""))
    root = styled(("SIMULATED", "red") if policy.root is Root.SIMULATED else "Intel's")
    table.add_row("root of trust", root)
    table.add_row("one user per process", "yes")
    table.add_row("evidence not older than", duration(policy.maximum_evidence_age_seconds))
    table.add_row("TCB status one of", lines(policy.accepted_tcb))
    table.add_row("advisories ignored", _listed(policy.ignored_advisories))
    table.add_row("advisories refused", _listed(policy.refused_advisories, and_others=True))
    debug = policy.testing and policy.admit_debug
    table.add_row("debug enclaves", styled(("admitted", "red") if debug else "refused"))
    console.print(table)
    for number, variant in enumerate(policy.variants):
        console.print()
        console.print(_variant(variant, "or" if number else "and"))


def _table(first: str, second: Text) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column(first, overflow="fold")
    table.add_column(second, overflow="fold")
    return table


def _listed(values: Sequence[str], *, and_others: bool = False) -> Text:
    if not and_others:
        return lines(["all"] if "*" in values else values or ["none"])
    return lines([*values, "any other that is not ignored"])


def _variant(variant: Variant, joined: str) -> Table:
    table = _table(joined, styled((variant.name, "bold")))
    if variant.mrenclave is None and variant.signer is None:
        table.add_row("any program", styled(("nothing is asked", "red")))
    if variant.mrenclave is not None:
        table.add_row("mrenclave one of", lines(variant.mrenclave))
    if variant.signer is not None:
        least = variant.signer.minimum_svn
        table.add_row("mrsigner", styled(variant.signer.mrsigner))
        table.add_row("product id", str(variant.signer.product_id))
        table.add_row("SVN at least", styled(("any", "red") if least is None else str(least)))
    return table
