"""File descriptors: a process that may need many says so before it serves, rather than fail under a crowd."""

import resource

from standby.settings import SettingsError


def provide(needed: int, why: str) -> None:
    """Raise this process's limit of open files to `needed`, if it is lower.

    Args:
        needed: descriptors that may be open at once
        why: the setting that asks for so many, with its value

    Raises:
        SettingsError: the hard limit is lower.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    check(needed, hard, why)
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def check(needed: int, limit: int, why: str) -> None:
    """Whether a process with this hard limit can have so many open files.

    Raises:
        SettingsError: it cannot.
    """
    if limit != resource.RLIM_INFINITY and needed > limit:
        raise SettingsError(
            f"{why} needs {needed} open files and the hard limit is {limit}; lower the one or raise the other "
            "(ulimit -Hn)"
        )
