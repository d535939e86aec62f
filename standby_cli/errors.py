"""What can go wrong with an operator's command; each ends it with its own exit status and one line of text.

CommandError            1  also: a key cannot be opened, a policy is refused, no server is admitted
├── NotRunningError     3  no platform with that state directory
├── AlreadyRunningError 4
├── StartError          5  a part did not become ready
├── EnrollError         6
└── PartAwayError       7  the platform runs, and a part of it is away
"""

from typing import ClassVar

from standby_cli.layout import Layout


class CommandError(Exception):
    exit_status: ClassVar[int] = 1


class NotRunningError(CommandError):
    exit_status = 3


class AlreadyRunningError(CommandError):
    exit_status = 4


def already_running(layout: Layout) -> str:
    return f"a platform is running with {layout.root}; end it with `standby down`"


class StartError(CommandError):
    exit_status = 5


class EnrollError(CommandError):
    exit_status = 6


class PartAwayError(CommandError):
    exit_status = 7


def of_status(exit_status: int, text: str) -> CommandError:
    """The error of another process of ours that ended, or is about to, with this status."""
    kinds = (NotRunningError, AlreadyRunningError, StartError, EnrollError, PartAwayError)
    known = {kind.exit_status: kind for kind in kinds}
    return known.get(exit_status, CommandError)(text)
