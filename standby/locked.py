"""Memory for a key: never swapped, never in a core dump, overwritten at the end.

    memfd_secret   pages that the kernel itself does not map: /proc/<pid>/mem, ptrace and root's tools do not see them
                   (Linux 5.14, and 6.5 or a boot option to have it switched on)
    mlock          pages that stay in memory and out of core dumps; a process that may read this one's memory sees them

The buffer is a page of its own, so nothing else lies beside the key, and no descriptor of it stays open. A view that is
still held at `close` keeps the page mapped (the key is overwritten all the same) and is an error, rather than a view of
memory that has become something else's.

Not promised: what libraries make of the key (its schedules, copies in their own buffers) is theirs; whoever runs code
in this process reads the key. A child that is forked while the buffer is open has the `memfd_secret` page too; it has
zeros in place of the `mlock` page.
"""

import ctypes
import errno
import mmap
import os
from collections.abc import Callable, Sequence
from enum import StrEnum
from types import TracebackType
from typing import Final, Self

from standby.hardening import kernel

KEY_SIZE: Final = 32
_MEMFD_SECRET: Final = 447  # on every architecture
_MADV_WIPEONFORK: Final = 18
_MAP_FIXED: Final = 0x10
_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_long,
)
_libc.mlock.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_FAILED: Final = ctypes.c_void_p(-1).value


class Kind(StrEnum):
    """How well the memory is kept; the better one first."""

    MEMFD_SECRET = "memfd_secret"  # noqa: S105  # a system call
    MLOCK = "mlock"


class LockedKey:
    """A buffer of `size` zeros to put a key into; close it, or use it as a context."""

    __slots__ = ("_map", "_view", "kind")

    def __init__(self, size: int = KEY_SIZE, kinds: Sequence[Kind] = tuple(Kind)) -> None:
        """In the first of these kinds of memory that can be had.

        Raises:
            OSError: in none of them; RLIMIT_MEMLOCK may be too low.
        """
        if not 0 < size <= mmap.PAGESIZE:
            raise ValueError(f"a key has 1 to {mmap.PAGESIZE} bytes")
        self._map, self.kind = _first(kinds)
        self._view = memoryview(self._map)[:size]

    def reveal(self) -> memoryview:
        """The buffer itself: write the key into it, hand it to a library, do not keep it or a slice of it."""
        return self._view

    def close(self) -> None:
        """Overwrite the key and give the memory back; again without effect.

        Raises:
            BufferError: somebody still holds a view. The key is overwritten, the page stays.
        """
        if not self._map.closed:
            self._map[:] = bytes(len(self._map))
            self._view.release()
            self._map.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return "<secret>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)


def _first(kinds: Sequence[Kind]) -> tuple[mmap.mmap, Kind]:
    makers: dict[Kind, Callable[[int], None]] = {
        Kind.MEMFD_SECRET: _put_secret_page,
        Kind.MLOCK: _lock_page,
    }
    problem = OSError(errno.EINVAL, "no kind of memory was asked for")
    for kind in kinds:
        # Python's mapping knows who holds views of it, and unmaps the page whatever has become of it
        page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        try:
            makers[kind](ctypes.addressof(ctypes.c_char.from_buffer(page)))
        except OSError as error:
            page.close()
            problem = error
            continue
        if kind is Kind.MLOCK:
            page.madvise(mmap.MADV_DONTDUMP)
            page.madvise(_MADV_WIPEONFORK)
        return page, kind
    raise OSError(problem.errno, f"no locked memory: {problem.strerror}; see RLIMIT_MEMLOCK")


def _put_secret_page(address: int) -> None:
    """Replace the page at that address by one of `memfd_secret`."""
    descriptor = kernel.syscall(_MEMFD_SECRET, os.O_CLOEXEC)
    try:
        os.ftruncate(descriptor, mmap.PAGESIZE)
        prot, flags = mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED | _MAP_FIXED
        _check(_libc.mmap(address, mmap.PAGESIZE, prot, flags, descriptor, 0) != _FAILED)
    finally:
        os.close(descriptor)


def _lock_page(address: int) -> None:
    _check(_libc.mlock(address, mmap.PAGESIZE) == 0)


def _check(done: bool) -> None:  # noqa: FBT001  # the result of a call
    if not done:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
