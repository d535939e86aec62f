"""Seccomp's filters as programs: a classic BPF machine with one register, jumping forwards only.

The program sees `struct seccomp_data`: the call's number, the architecture, and six arguments of 64 bits. It gives the
action, with the error number in its lower half. Each rule is a block that ends with its own verdict, so that no jump
leaves its block; the kernel remembers which calls are always allowed and does not run the program for them.
"""

import errno
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from standby.hardening.calls import NUMBERS
from standby.hardening.rules import AnyBit, Condition, NoBit, NoneOf, OneOf, Rule

ALLOW: Final = 0x7FFF_0000
ERRNO: Final = 0x0005_0000
NUMBER_AT: Final = 0
ARCHITECTURE_AT: Final = 4
ARGUMENTS_AT: Final = 16
SIZE: Final = 8
"""Bytes of an instruction."""
_X32: Final = 0x4000_0000
"""The other numbering that x86_64 has."""


class Code(IntEnum):
    LOAD = 0x20
    AND = 0x54
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
    """Of `calls.Numbers`."""


ARCHITECTURES: Final = {
    "x86_64": Architecture(0xC000_003E, 0),
    "aarch64": Architecture(0xC000_00B7, 1),
}
"""By the name that `uname` gives; both are little-endian."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """`then` and `otherwise` are how many instructions a jump skips."""

    code: Code
    operand: int
    then: int = 0
    otherwise: int = 0

    def packed(self) -> bytes:
        return struct.pack("=HBBI", self.code, self.then, self.otherwise, self.operand)


def program(rules: Iterable[Rule], architecture: Architecture) -> list[Instruction]:
    """The filter of these rules. Calls by another architecture's numbers all fail."""
    made = [
        Instruction(Code.LOAD, ARCHITECTURE_AT),
        Instruction(Code.EQUAL, architecture.audit, then=1),
        _refuse(errno.EPERM),
        Instruction(Code.LOAD, NUMBER_AT),
        Instruction(Code.AT_LEAST, _X32, otherwise=1),
        _refuse(errno.EPERM),
    ]
    for rule in rules:
        number = NUMBERS[rule.call][architecture.column]
        if number is not None:
            block = _verdict(rule)
            made += [Instruction(Code.EQUAL, number, otherwise=len(block)), *block]
    return [*made, Instruction(Code.RETURN, ALLOW)]


def _verdict(rule: Rule) -> list[Instruction]:
    if not rule.when:
        return [_refuse(rule.error)]
    made: list[Instruction] = []
    for condition in rule.when:
        made += [
            Instruction(Code.LOAD, ARGUMENTS_AT + 8 * condition.argument),
            *_unless(condition),
            _refuse(rule.error),
        ]
    return [*made, Instruction(Code.RETURN, ALLOW)]


def _unless(condition: Condition) -> list[Instruction]:
    """Skip one instruction after these unless the condition is true of the loaded argument."""
    match condition:
        case AnyBit():
            return [Instruction(Code.ANY_BIT, condition.bits, otherwise=1)]
        case NoBit():
            return [Instruction(Code.ANY_BIT, condition.bits, then=1)]
        case OneOf():
            return _among(condition.values, found=0, not_found=1)
        case NoneOf():
            chosen = _among(condition.values, found=1, not_found=0)
            return [Instruction(Code.AND, condition.mask), *chosen]


def _among(values: tuple[int, ...], *, found: int, not_found: int) -> list[Instruction]:
    """Compare with each; then skip as many instructions as the result says."""
    last = len(values) - 1
    return [
        Instruction(
            Code.EQUAL,
            value,
            then=last - index + found,
            otherwise=not_found if index == last else 0,
        )
        for index, value in enumerate(values)
    ]


def _refuse(error: int) -> Instruction:
    return Instruction(Code.RETURN, ERRNO | error)
