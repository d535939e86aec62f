"""What one server may take of the machine: limits that the kernel keeps, for the server and all that it starts.

They are set in the child before it becomes the server's program, or the template from which servers are forked, so a
server never runs without them and needs no help. The hard limits are set too, so it cannot raise them.

    memory        private memory that can be written: heap, threads' stacks, private mappings (RLIMIT_DATA)
    stack         of the first thread; its growth is not counted with the memory (RLIMIT_STACK)
    file          the size of each file that it writes (RLIMIT_FSIZE); with the volume's fixed files, of the volume
    descriptors   files, connections, pipes (RLIMIT_NOFILE)
    threads       of its uid, where that is its own (RLIMIT_NPROC)

Not counted by the kernel is memory that is shared, and what grows downwards: hardened servers cannot have either
(`standby.hardening.rules`). Where servers share one account nothing counts threads, because the kernel counts them for
the account: one server's threads would keep its neighbours from having theirs.

Rejected: RLIMIT_AS, because programs reserve address space that they never use, some of them terabytes; a cgroup for
each server, which needs a machine that delegates one. An operator who wants a bound for all servers together gives the
wrapper a cgroup of its own (`MemoryMax=` and `TasksMax=` of a systemd unit).
"""

import resource
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

STACK: Final = 8 * 2**20
"""Bytes; the usual soft limit, from which the C library takes the size of threads' stacks, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes in bytes; None: as the wrapper itself has it."""

    memory: int | None = None
    file: int | None = None
    descriptors: int | None = None
    threads: int | None = None

    def set_here(self) -> None:
        """From now on for this process and all that it starts. A limit that is lower already stays."""
        for kind, most in (
            (resource.RLIMIT_DATA, self.memory),
            (resource.RLIMIT_STACK, None if self.memory is None else STACK),
            (resource.RLIMIT_FSIZE, self.file),
            (resource.RLIMIT_NOFILE, self.descriptors),
            (resource.RLIMIT_NPROC, self.threads),
        ):
            if most is not None:
                _lower(kind, most)

    def before(self, prepare: Callable[[], None]) -> Callable[[], None]:
        """A `preexec_fn` that sets the limits and then prepares the child otherwise."""

        def both() -> None:
            self.set_here()
            prepare()

        return both


UNLIMITED: Final = Limits()


def _lower(kind: int, most: int) -> None:
    soft, hard = (
        most if each == resource.RLIM_INFINITY else min(each, most)
        for each in resource.getrlimit(kind)
    )
    resource.setrlimit(kind, (soft, hard))
