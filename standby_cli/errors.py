"""What can go wrong with an operator's command; each ends it with its own exit status and one line of text.

CommandError            1  also: a key cannot be opened, a policy is refused, no server is admitted
├── NotRunningError     3  no platform with that state directory
├── AlreadyRunningError 4
├── StartError          5  a part did not become ready
├── EnrollError         6
├── PartAwayError       7  the platform runs, and a part of it is away
├── InSessionError      8  the user has a session, so their data is not touched; try again when it has ended
└── ConfigurationError 78  a setting, a place or a port cannot work; a SettingsError ends a command the same way
"""

from pathlib import Path
from typing import ClassVar

from standby.exit_codes import EXIT_CONFIG
from standby.settings import SettingsError


class CommandError(Exception):
    exit_status: ClassVar[int] = 1


class NotRunningError(CommandError):
    exit_status = 3


class AlreadyRunningError(CommandError):
    exit_status = 4


def already_running(state_dir: Path) -> str:
    return f"a platform is running with {state_dir}; end it with `standby down`"


class StartError(CommandError):
    exit_status = 5


class EnrollError(CommandError):
    exit_status = 6


class PartAwayError(CommandError):
    exit_status = 7


class InSessionError(CommandError):
    exit_status = 8


class ConfigurationError(CommandError):
    """What the platform was given cannot work, and would not the next time; nothing was started."""

    exit_status = EXIT_CONFIG


def status_of(error: BaseException) -> int:
    """With which a command ends that fails with this error."""
    if isinstance(error, SettingsError):
        return ConfigurationError.exit_status
    return error.exit_status if isinstance(error, CommandError) else CommandError.exit_status


def of_status(exit_status: int, text: str) -> CommandError:
    """The error of another process of ours that ended, or is about to, with this status."""
    kinds = (
        NotRunningError,
        AlreadyRunningError,
        StartError,
        EnrollError,
        PartAwayError,
        ConfigurationError,
    )
    known = {kind.exit_status: kind for kind in kinds}
    return known.get(exit_status, CommandError)(text)
