"""Whether a starting platform waits for servers that can never be READY: none is admitted, or none can work.

The decision is pure; only the error's text looks at what lies in the state directory.
"""

from collections.abc import Sequence
from typing import Final

from app_wrapper.lives import NOT_ATTESTED
from attestation import policy
from attestation.claims import Root
from attestation.policy import PolicyError
from standby.messages import WrapperState
from standby_cli import kept_policy
from standby_cli.errors import CommandError
from standby_cli.layout import Layout

PATIENCE: Final = 10.0
"""Seconds; some starts of a server that is refused each time."""
_LASTING: Final = "no server can start until this is repaired"
"""What a wrapper's text begins with when it knows that another try would end the same way (`app_wrapper.pacing`)."""


class NoServerAdmittedError(CommandError):
    """No server of the platform could prove that it is what the policy admits."""


class Refusals:
    """What was seen of a platform that is starting, from its first look on."""

    def __init__(self) -> None:
        self._since: float | None = None

    def hopeless(self, states: Sequence[WrapperState], now: float) -> str | None:
        """Why no server will be admitted; None while one is up, or may still be.

        That is known at once when a wrapper says that the next server would be refused, too. Other refusals pass, as
        that of a server whose files were changed while it started; they are waited out for `PATIENCE`.

        Args:
            states: What every wrapper says of itself. One that has no server and misses none says nothing.
            now: Monotonic, in seconds.
        """
        why = _refused(states)
        if why is None:
            self._since = None
            return None
        self._since = now if self._since is None else self._since
        lasting = any((each.degraded or "").startswith(_LASTING) for each in states)
        return why if lasting or now - self._since >= PATIENCE else None


def broken(states: Sequence[WrapperState]) -> str | None:
    """Why no server will come up though none was refused: a wrapper says that each would end the same way."""
    if any(_up(each) for each in states):
        return None
    for each in states:
        text = each.degraded or ""
        if text.startswith(_LASTING) and NOT_ATTESTED not in text:
            return f"{each.wrapper_id}: {text}"
    return None


def _refused(states: Sequence[WrapperState]) -> str | None:
    if any(_up(each) for each in states):
        return None
    concerned = [each for each in states if each.instances or each.degraded is not None]
    reasons = [(each.degraded or "").partition(NOT_ATTESTED)[2] for each in concerned]
    return reasons[0] if reasons and all(reasons) else None


def _up(state: WrapperState) -> int:
    return state.counts.READY + state.counts.RESERVED + state.counts.ACTIVE


def error(why: str, layout: Layout) -> NoServerAdmittedError:
    """What the operator reads, with what to do."""
    installed = kept_policy.is_installed(layout.policy)
    text = (
        f"no server was admitted: {why}\n"
        f"`standby policy show {layout.policy}` says what is admitted; "
        f"{_what_differs(layout, installed=installed)}; "
        f"the wrappers' logs in {layout.logs} have every reason"
    )
    if installed:
        text += f"\nthis policy stays installed; pass another with --policy{_or_delete(layout)}"
    return NoServerAdmittedError(text)


def _what_differs(layout: Layout, *, installed: bool) -> str:
    """How that is found out; what a policy from elsewhere was made from does not lie here."""
    if installed:
        return (
            "`standby measure --json` now and where the policy was made show what differs"
            " (`standby measure --explain`)"
        )
    if layout.measured.exists():
        return f"`standby measure --explain {layout.measured}` says what has changed since the policy was made"
    return "`standby measure` prints a policy for the program as it is now"


def _or_delete(layout: Layout) -> str:
    """Only with simulated evidence `standby up` makes a policy of its own."""
    try:
        simulated = policy.load(layout.policy).root is Root.SIMULATED
    except PolicyError:  # it was changed meanwhile
        simulated = False
    return f", or delete {layout.policy} and `standby up` makes one" if simulated else ""
