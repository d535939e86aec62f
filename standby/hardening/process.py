"""The layers that are one call each.

Of resource limits only the core file's is set. NPROC counts all processes and threads of a uid, so where servers share
one, a neighbour's thread would cost a server its own; seccomp refuses processes without counting. FSIZE would turn a
database that has grown into a failed write; how much a user may store is his volume's business. The limit alone is not
enough either: a kernel that pipes core dumps to a program ignores a limit of 0, and only `not_dumpable` prevents that.
"""

import errno
import resource
from typing import Final

from standby.hardening import kernel
from standby.hardening.errors import UnsupportedError

_PR_GET_DUMPABLE: Final = 3
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_SET_MDWE: Final = 65
_PR_MDWE_REFUSE_EXEC_GAIN: Final = 1


def limit_resources() -> str:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return "no core file"


def not_dumpable() -> str:
    """From now on the process's files in /proc are root's, and only root may trace it.

    Its own threads still find what they need in `/proc/self/fd`. A change of uid sets the flag anew and an exec clears
    it, so this comes after both.
    """
    kernel.prctl(_PR_SET_DUMPABLE, 0)
    return "memory, environment and descriptors are closed to processes of the same uid"


def no_new_privs() -> str:
    kernel.prctl(_PR_SET_NO_NEW_PRIVS, 1)
    return "no program gives more rights"


def refuse_exec_gain() -> str:
    """Memory that was writable never becomes executable.

    Libraries are still loaded (their code is mapped from files), and so are ctypes' callbacks where libffi has static
    trampolines (3.4 and later). A process that translates code at run time cannot have this layer.
    """
    try:
        kernel.prctl(_PR_SET_MDWE, _PR_MDWE_REFUSE_EXEC_GAIN)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise UnsupportedError("needs Linux 6.3") from error
    return "written memory is never executed"


def rehearse() -> str:
    """What the layers of this module need, without a change."""
    resource.getrlimit(resource.RLIMIT_CORE)
    kernel.prctl(_PR_GET_DUMPABLE)
    return "rehearsed"
