"""What a process learns of another one: a program of its own that needs nothing but Python, and a module for tests.

    python3 -I -c "$(cat spy.py)" PID NEEDLE…       needles in hex

It prints a JSON object: each attempt, and the name of the error that refused it, or what was learned. As a program it
can be run as any account. It changes nothing in the other process, which goes on afterwards.
"""

import contextlib
import ctypes
import errno
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence

CHUNK = 1 << 20
_ATTACH, _DETACH = 16, 17
_PTRACE, _READV, _GETFD = (101, 310, 438) if os.uname().machine == "x86_64" else (117, 270, 438)
_UNMAPPED = 0x10000
"""Where nothing is; whether one may look is decided before whether something is there."""
_LIBC = ctypes.CDLL(None, use_errno=True)
Span = tuple[int, int]


def learned(pid: int, needles: Sequence[bytes]) -> dict[str, object]:
    """All attempts; found needles are told by their numbers."""
    tries: dict[str, Callable[[], object]] = {
        "reads its memory": lambda: found(pid, needles),
        "copies its memory": lambda: _found_in(_copied(pid), needles),
        "traces it": lambda: _trace(pid),
        "sees its environment": lambda: len(_read(f"/proc/{pid}/environ")),
        "sees where its memory is": lambda: len(_spans(pid)),
        "sees what it has open": lambda: len(os.listdir(f"/proc/{pid}/fd")),  # noqa: PTH208  # as a program
        "opens what it has open": lambda: os.close(os.open(f"/proc/{pid}/fd/1", os.O_WRONLY)),
        "takes what it has open": lambda: _take(pid),
    }
    return {name: _outcome(attempt) for name, attempt in tries.items()}


def found(pid: int, needles: Sequence[bytes]) -> list[int]:
    """Numbers of the needles that are in the process's memory.

    Raises:
        PermissionError: it is closed.
        FileNotFoundError: there is no such process.
    """
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:  # noqa: PTH123  # as a program

        def read(start: int, length: int) -> bytes:
            memory.seek(start)
            return memory.read(length)

        return _found_in(_pieces(_spans(pid), read), needles)


def _copied(pid: int) -> Iterator[bytes]:
    """As `found` reads, by process_vm_readv."""
    buffer = ctypes.create_string_buffer(CHUNK + 64)

    def read(start: int, length: int) -> bytes:
        here = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), length)
        there = (ctypes.c_size_t * 2)(start, length)
        return buffer.raw[: _call(_READV, pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)]

    with contextlib.suppress(PermissionError):
        yield from _pieces(_spans(pid), read)
        return
    read(_UNMAPPED, 1)


def _pieces(spans: Sequence[Span], read: Callable[[int, int], bytes]) -> Iterator[bytes]:
    """What can be read, in pieces that overlap, so that nothing lies on an edge."""
    for start, end in spans:
        for place in range(start, end, CHUNK):
            try:
                yield read(place, min(CHUNK + 64, end - place))
            except PermissionError:
                raise
            except (OSError, OverflowError, ValueError):  # the kernel's own pages, and secret ones
                continue


def _found_in(pieces: Iterator[bytes], needles: Sequence[bytes]) -> list[int]:
    hits: set[int] = set()
    for piece in pieces:
        hits |= {number for number, needle in enumerate(needles) if needle in piece}
    return sorted(hits)


def _spans(pid: int) -> list[Span]:
    """Memory that the process can write, or could once; all else is as it is in some file."""
    spans = []
    for line in _read(f"/proc/{pid}/maps").decode(errors="replace").splitlines():
        extent, mode, _, _, _, *path = line.split()
        if mode.startswith("rw") or (mode.startswith("r") and not path):
            start, end = extent.split("-")
            spans.append((int(start, 16), int(end, 16)))
    return spans


def _trace(pid: int) -> None:
    _call(_PTRACE, _ATTACH, pid, 0, 0)
    os.waitpid(pid, 0)
    _call(_PTRACE, _DETACH, pid, 0, 0)


def _take(pid: int) -> None:
    descriptor = os.pidfd_open(pid)
    try:
        os.close(_call(_GETFD, descriptor, 0, 0))
    finally:
        os.close(descriptor)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123  # as a program
        return file.read()


def _call(number: int, *arguments: object) -> int:
    result = int(_LIBC.syscall(ctypes.c_long(number), *map(_word, arguments)))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def _word(argument: object) -> object:
    return ctypes.c_long(argument) if isinstance(argument, int) else argument


def _outcome(attempt: Callable[[], object]) -> object:
    try:
        return attempt()
    except OSError as error:
        return errno.errorcode[error.errno or 0]


if __name__ == "__main__":
    print(json.dumps(learned(int(sys.argv[1]), [bytes.fromhex(each) for each in sys.argv[2:]])))
