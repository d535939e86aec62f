"""Which calls the filter refuses, on both architectures: its program is run by a machine written for this test."""

import errno
import os
import re
import socket
import struct
from pathlib import Path

import pytest

from standby.hardening import bpf, calls
from standby.hardening.rules import rules

_INSTRUCTION = struct.Struct("=HBBI")
_X86_64, _AARCH64 = bpf.ARCHITECTURES["x86_64"], bpf.ARCHITECTURES["aarch64"]
_I386_AUDIT = 0x4000_0003
_ALLOWED = 0
_CLONE_OF_A_THREAD = 0x003D_0F00
"""As glibc and musl start one."""
_CLONE_OF_FORK = 0x0120_0011
_STREAM = socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
_DATAGRAM = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
_FAST_OPEN = 0x2000_0000


def _run(code: bytes, data: bytes) -> int:
    """What the kernel would do: 0 to make the call, else the error."""
    program = list(_INSTRUCTION.iter_unpack(code))
    register, at = 0, 0
    while True:
        operation, then, otherwise, operand = program[at]
        at += 1
        match operation:
            case 0x20:  # BPF_LD | BPF_W | BPF_ABS
                (register,) = struct.unpack_from("<I", data, operand)
            case 0x54:  # BPF_ALU | BPF_AND | BPF_K
                register &= operand
            case 0x15:  # BPF_JMP | BPF_JEQ | BPF_K
                at += then if register == operand else otherwise
            case 0x35:  # BPF_JMP | BPF_JGE | BPF_K
                at += then if register >= operand else otherwise
            case 0x45:  # BPF_JMP | BPF_JSET | BPF_K
                at += then if register & operand else otherwise
            case 0x06:  # BPF_RET | BPF_K
                return _ALLOWED if operand == 0x7FFF_0000 else operand - 0x0005_0000
            case _:
                raise AssertionError(f"unknown instruction {operation:#x}")


def _answer(
    call: str | int,
    *arguments: int,
    machine: bpf.Architecture = _X86_64,
    programs: bool = False,
    sockets: bool = False,
    audit: int | None = None,
) -> int:
    number = call if isinstance(call, int) else calls.NUMBERS[call][machine.column]
    assert number is not None
    six = (*arguments, *(0,) * (6 - len(arguments)))
    data = struct.pack("<iIQ6Q", number, machine.audit if audit is None else audit, 0, *six)
    made = bpf.program(rules(programs=programs, sockets=sockets), machine)
    return _run(b"".join(each.packed() for each in made), data)


@pytest.mark.parametrize("machine", [_X86_64, _AARCH64], ids=["x86_64", "aarch64"])
def test_every_call_that_is_listed_is_refused(machine: bpf.Architecture) -> None:
    refused = calls.NUMBERS.keys() - calls.LOOKED_INTO.keys()
    here = {call for call in refused if calls.NUMBERS[call][machine.column] is not None}
    assert {call: _answer(call, machine=machine) for call in here} == dict.fromkeys(
        here, errno.EPERM
    )


@pytest.mark.parametrize("machine", [_X86_64, _AARCH64], ids=["x86_64", "aarch64"])
@pytest.mark.parametrize(
    ("call", "arguments", "answer"),
    [
        ("clone", (_CLONE_OF_A_THREAD,), _ALLOWED),
        ("clone", (_CLONE_OF_FORK,), errno.EPERM),
        ("clone", (_CLONE_OF_A_THREAD | 0x4000_0000,), errno.EPERM),
        ("clone3", (), errno.ENOSYS),
        ("prctl", (38, 1), _ALLOWED),
        ("prctl", (4, 1), errno.EPERM),
        ("socket", (socket.AF_INET, _STREAM), errno.EPERM),
        ("socket", (socket.AF_UNIX, _STREAM), errno.EPERM),
        ("socketpair", (socket.AF_UNIX, _STREAM), _ALLOWED),
        ("socketpair", (socket.AF_UNIX, socket.SOCK_SEQPACKET), _ALLOWED),
        ("socketpair", (socket.AF_UNIX, _DATAGRAM), errno.EPERM),
        ("sendto", (3, 0, 0, socket.MSG_NOSIGNAL), _ALLOWED),
        ("sendto", (3, 0, 0, _FAST_OPEN | socket.MSG_NOSIGNAL), errno.EPERM),
        ("sendmsg", (3, 0, _FAST_OPEN), errno.EPERM),
        ("sendmsg", (3, 0, 0, _FAST_OPEN), _ALLOWED),
        ("sendmmsg", (3, 0, 1, _FAST_OPEN), errno.EPERM),
    ],
)
def test_arguments_decide(
    machine: bpf.Architecture, call: str, arguments: tuple[int, ...], answer: int
) -> None:
    assert _answer(call, *arguments, machine=machine) == answer


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        ((socket.AF_INET, _STREAM), _ALLOWED),
        ((socket.AF_INET6, _STREAM, socket.IPPROTO_TCP), _ALLOWED),
        ((socket.AF_INET, _STREAM, socket.IPPROTO_SCTP), errno.EPERM),
        ((socket.AF_INET, _STREAM, 262), errno.EPERM),  # multipath TCP
        ((socket.AF_INET, _DATAGRAM), errno.EPERM),
        ((socket.AF_UNIX, _STREAM), errno.EPERM),
        ((socket.AF_NETLINK, socket.SOCK_RAW), errno.EPERM),
        ((socket.AF_VSOCK, _STREAM), errno.EPERM),
    ],
)
def test_where_ports_may_be_bound_only_tcp_sockets_are_made(
    arguments: tuple[int, ...], answer: int
) -> None:
    assert _answer("socket", *arguments, sockets=True) == answer


def test_programs_may_be_started_where_the_plan_says_so_but_no_process_be_traced() -> None:
    starting = ("execve", "fork", "clone", "clone3")
    assert {_answer(call, programs=True) for call in starting} == {_ALLOWED}
    assert _answer("ptrace", programs=True) == errno.EPERM


def test_calls_by_other_numbers_are_refused_whatever_they_are() -> None:
    read, getpid = 0, 39
    assert _answer(getpid) == _ALLOWED
    assert _answer(getpid, audit=_I386_AUDIT) == errno.EPERM
    assert _answer(0x4000_0000 + read) == errno.EPERM  # x32


def test_no_number_is_listed_twice() -> None:
    for column in (0, 1):
        numbers = [each[column] for each in calls.NUMBERS.values() if each[column] is not None]
        assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize(
    ("column", "header"),
    [
        (0, Path(f"/usr/include/{os.uname().machine}-linux-gnu/asm/unistd_64.h")),
        (1, Path("/usr/include/asm-generic/unistd.h")),
    ],
)
def test_numbers_are_the_kernels(column: int, header: Path) -> None:
    if not header.exists():
        pytest.skip(f"the kernel's header {header} is not installed")
    pattern = re.compile(r"#define __NR(?:3264)?_(\w+)\s+(\d+)")
    known = {name: int(number) for name, number in pattern.findall(header.read_text())}
    listed = {call: numbers[column] for call, numbers in calls.NUMBERS.items() if call in known}
    assert len(listed) > 60
    assert listed == {call: known[call] for call in listed}
