"""The platform's policy file over time: one of its own, which follows the program, or one that was installed.

The platform's own policy admits what was measured when it was made, and its first line says whose it is. When another
measurement is found at the next start, a policy with the next version takes its place: an operator who starts a changed
program with `standby up` wants it admitted here. It is signed (`standby_cli.policy_keys`), so enrolled clients take it
from the servers.

A policy without the first line was installed by an operator who decided what it says. It is never replaced by one of
ours.
"""

from pathlib import Path
from typing import Final

MARK: Final = (
    "# Made by `standby up`, which makes the next version when the program changes;"
    " without this line it leaves the file alone.\n"
)


def is_own(text: str) -> bool:
    return text.startswith(MARK)


def is_own_file(file: Path) -> bool:
    """Whether there is a policy of the platform's own."""
    return file.exists() and is_own(file.read_text(errors="replace"))


def is_installed(file: Path) -> bool:
    """Whether there is a policy that `standby up` leaves alone."""
    return file.exists() and not is_own_file(file)


def own(text: str) -> str:
    """The policy as a file that is replaced when the program changes."""
    return MARK + text


def plain(text: str) -> str:
    """The policy without the first line, as a file that stays as it is when it is installed."""
    return text.removeprefix(MARK)
