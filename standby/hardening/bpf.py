"""Seccomp's filters as programs: a classic BPF machine with one register, jumping forwards only.

The program sees `struct seccomp_data`: the call's number, the architecture, and six arguments of 64 bits. It gives the
action, with the error number in its lower half. It finds a call's verdict by halves, in about eight comparisons,
because the kernel runs it for every number once when it is installed, and for some calls each time. (For those that
are always allowed it remembers that.)

The one thing that differs between processes is the pid, so a program is made once and filled in by each (`Filter`).
"""

import errno
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

from standby.hardening.rules import AnyBit, Condition, NoBit, NoneOf, OtherProcess, Rule

ALLOW: Final = 0x7FFF_0000
ERRNO: Final = 0x0005_0000
NUMBER_AT: Final = 0
ARCHITECTURE_AT: Final = 4
ARGUMENTS_AT: Final = 16
_INSTRUCTION: Final = struct.Struct("=HBBI")
_OPERAND: Final = struct.Struct("=I")
_FARTHEST: Final = 255
"""Instructions that a conditional jump can skip."""
_OWN_PID: Final = 0x7FFF_FFFF
"""Stands for the pid of the process that will have the filter; no process has this one."""
Action = int
"""What the program returns."""
Verdict = Action | Rule


class Code(IntEnum):
    LOAD = 0x20
    AND = 0x54
    JUMP = 0x05
    EQUAL = 0x15
    AT_LEAST = 0x35
    ANY_BIT = 0x45
    RETURN = 0x06


@dataclass(frozen=True, slots=True)
class Architecture:
    """What a filter must know of the machine."""

    audit: int
    """AUDIT_ARCH_… of `linux/audit.h`."""
    column: int
    """Of `calls.numbers`."""


ARCHITECTURES: Final = {
    "x86_64": Architecture(0xC000_003E, 0),
    "aarch64": Architecture(0xC000_00B7, 1),
}
"""By the name that `uname` gives; both are little-endian."""


class Instruction(NamedTuple):
    """`then` and `otherwise` are how many instructions a jump skips."""

    code: Code
    operand: int
    then: int = 0
    otherwise: int = 0


@dataclass(frozen=True, slots=True)
class Filter:
    """A program that lacks the pid of its process."""

    code: bytes
    pid_at: tuple[int, ...]
    """Bytes before each operand that is to be the pid."""

    @property
    def length(self) -> int:
        """Instructions."""
        return len(self.code) // _INSTRUCTION.size

    def of(self, pid: int) -> bytes:
        """The program of this process."""
        filled = bytearray(self.code)
        for offset in self.pid_at:
            _OPERAND.pack_into(filled, offset, pid)
        return bytes(filled)


def refuse(error: int) -> Action:
    return ERRNO | error


def program(verdicts: Mapping[int, Verdict], architecture: Architecture) -> Filter:
    """The filter that answers each number by its verdict, and every other one with ENOSYS.

    Calls by another architecture's numbers all fail with EPERM.
    """
    made = [
        Instruction(Code.LOAD, ARCHITECTURE_AT),
        Instruction(Code.EQUAL, architecture.audit, then=1),
        Instruction(Code.RETURN, refuse(errno.EPERM)),
        Instruction(Code.LOAD, NUMBER_AT),
        *_search(_runs(verdicts)),
    ]
    operand = _INSTRUCTION.size - _OPERAND.size
    pids = (index for index, each in enumerate(made) if each.operand == _OWN_PID)
    return Filter(
        b"".join(_INSTRUCTION.pack(c, then, otherwise, k) for c, k, then, otherwise in made),
        tuple(index * _INSTRUCTION.size + operand for index in pids),
    )


def _runs(verdicts: Mapping[int, Verdict]) -> list[tuple[int, Verdict]]:
    """The first number of each row of numbers that have the same verdict; the last row has no end."""
    runs: list[tuple[int, Verdict]] = []
    for number in range(max(verdicts) + 2):
        verdict = verdicts.get(number, refuse(errno.ENOSYS))
        if not runs or runs[-1][1] != verdict:
            runs.append((number, verdict))
    return runs


def _search(runs: Sequence[tuple[int, Verdict]]) -> list[Instruction]:
    if len(runs) == 1:
        return _verdict(runs[0][1])
    middle = len(runs) // 2
    lower, upper = _search(runs[:middle]), _search(runs[middle:])
    first = runs[middle][0]
    if len(lower) <= _FARTHEST:
        return [Instruction(Code.AT_LEAST, first, then=len(lower)), *lower, *upper]
    far = Instruction(Code.JUMP, len(lower))
    return [Instruction(Code.AT_LEAST, first, otherwise=1), far, *lower, *upper]


def _verdict(verdict: Verdict) -> list[Instruction]:
    if isinstance(verdict, Action):
        return [Instruction(Code.RETURN, verdict)]
    made: list[Instruction] = []
    for condition in verdict.when:
        made += [
            Instruction(Code.LOAD, ARGUMENTS_AT + 8 * condition.argument),
            *_unless(condition),
            Instruction(Code.RETURN, refuse(verdict.error)),
        ]
    return [*made, Instruction(Code.RETURN, ALLOW)]


def _unless(condition: Condition) -> list[Instruction]:
    """Skip one instruction after these unless the condition is true of the loaded argument."""
    match condition:
        case AnyBit():
            return [Instruction(Code.ANY_BIT, condition.bits, otherwise=1)]
        case NoBit():
            return [Instruction(Code.ANY_BIT, condition.bits, then=1)]
        case NoneOf():
            mask = Instruction(Code.AND, condition.mask)
            return [mask, *_skip_if_among(condition.values)]
        case OtherProcess():
            return _skip_if_among((0, _OWN_PID) if condition.zero else (_OWN_PID,))


def _skip_if_among(values: tuple[int, ...]) -> list[Instruction]:
    """Compare with each; skip one instruction after these if one is equal."""
    last = len(values)
    return [Instruction(Code.EQUAL, value, then=last - index) for index, value in enumerate(values)]
