"""What the filter answers to each call, on both architectures; a machine written for this test runs its program."""

import errno
import functools
import os
import re
import socket
import struct
from pathlib import Path

import pytest

from standby.hardening import bpf, calls, seccomp
from standby.hardening.calls import Verdict
from standby.hardening.rules import RULES

_INSTRUCTION = struct.Struct("=HBBI")
_X86_64, _AARCH64 = bpf.ARCHITECTURES["x86_64"], bpf.ARCHITECTURES["aarch64"]
_I386_AUDIT = 0x4000_0003
_ALLOWED = 0
_PID = 4242
_OTHER_PID = 1
_CLONE_OF_A_THREAD = 0x003D_0F00
"""As glibc and musl start one."""
_CLONE_OF_FORK = 0x0120_0011
_STREAM = socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
_DATAGRAM = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
_FAST_OPEN = 0x2000_0000
_ALL_AFTER = 200
"""Numbers after the last one that is known."""
_OF_THIS_MACHINE = Path(f"/usr/include/{os.uname().machine}-linux-gnu/asm/unistd_64.h")
_GENERIC = Path("/usr/include/asm-generic/unistd.h")
_OF_32_BITS = range(403, 424)
"""Times of 64 bits for machines of 32."""
_OTHER_NAMES = {"fstatat": "newfstatat"}
_NOT_HERE = {"arch_specific_syscall", "syscalls", "sync_file_range2"}
"""What the generic list has besides the calls of aarch64."""

machines = pytest.mark.parametrize("machine", [_X86_64, _AARCH64], ids=["x86_64", "aarch64"])


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
            case 0x05:  # BPF_JMP | BPF_JA
                at += operand
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


@functools.cache
def _code(machine: bpf.Architecture, *, sockets: bool) -> bytes:
    return bpf.program(seccomp.verdicts(machine.column, sockets=sockets), machine).of(_PID)


def _answer(
    call: str | int,
    *arguments: int,
    machine: bpf.Architecture = _X86_64,
    sockets: bool = False,
    audit: int | None = None,
) -> int:
    number = call if isinstance(call, int) else calls.all_numbers(machine.column)[call]
    six = (*arguments, *(0,) * (6 - len(arguments)))
    where = machine.audit if audit is None else audit
    halves = (each & 0xFFFF_FFFF_FFFF_FFFF for each in six)
    data = struct.pack("<IIQ6Q", number & 0xFFFF_FFFF, where, 0, *halves)
    return _run(_code(machine, sockets=sockets), data)


@machines
@pytest.mark.parametrize("sockets", [False, True])
def test_every_call_is_answered_by_the_verdict_of_its_class(
    machine: bpf.Architecture, *, sockets: bool
) -> None:
    """Those by arguments, with none: only what the rules allow is allowed."""
    code = _code(machine, sockets=sockets)
    answers = {
        Verdict.ALLOWED: _ALLOWED,
        Verdict.REFUSED: errno.EPERM,
        Verdict.ABSENT: errno.ENOSYS,
        Verdict.WITH_PORTS: None if sockets else errno.EPERM,
    }
    for each in calls.CLASSES:
        expected = answers.get(each.verdict)
        for name, number in calls.numbers(each.calls, machine.column).items():
            data = struct.pack("<IIQ6Q", number, machine.audit, 0, *(0,) * 6)
            if expected is not None:
                assert _run(code, data) == expected, name


@machines
def test_a_call_that_is_not_known_is_absent(machine: bpf.Architecture) -> None:
    known = set(calls.all_numbers(machine.column).values())
    unknown = [each for each in range(max(known) + _ALL_AFTER) if each not in known]
    assert len(unknown) > _ALL_AFTER - 2
    assert {_answer(each, machine=machine) for each in (*unknown, 0x3FFF_FFFF, 2**32 - 1)} == {
        errno.ENOSYS
    }


@machines
@pytest.mark.parametrize(
    ("call", "arguments", "answer"),
    [
        ("mmap", (0, 4096, 3, 0x22, -1), _ALLOWED),  # PRIVATE | ANONYMOUS
        ("mmap", (0, 4096, 3, 0x20022, -1), _ALLOWED),  # a thread's stack
        ("mmap", (0, 4096, 5, 0x2, 7), _ALLOWED),  # of a library
        ("mmap", (0, 4096, 3, 0x11, 7), _ALLOWED),  # SHARED | FIXED
        ("mmap", (0, 4096, 1, 0x3, 7), _ALLOWED),  # SHARED_VALIDATE
        ("mmap", (0, 4096, 3, 0x21, -1), errno.EPERM),  # SHARED | ANONYMOUS
        ("mmap", (0, 4096, 3, 0x28, -1), errno.EPERM),  # DROPPABLE | ANONYMOUS
        ("mmap", (0, 4096, 3, 0x122, -1), errno.EPERM),  # GROWSDOWN
        ("mmap", (0, 4096, 3, 0x102, 7), errno.EPERM),
        ("clone", (_CLONE_OF_A_THREAD,), _ALLOWED),
        ("clone", (_CLONE_OF_FORK,), errno.EPERM),
        ("clone", (_CLONE_OF_A_THREAD | 0x4000_0000,), errno.EPERM),
        ("clone3", (), errno.ENOSYS),
        ("prctl", (38, 1), _ALLOWED),
        ("prctl", (4, 1), errno.EPERM),  # SET_DUMPABLE
        ("prctl", (1, 0), errno.EPERM),  # SET_PDEATHSIG
        ("prctl", (62, 1, _OTHER_PID), errno.EPERM),  # SCHED_CORE
        ("prctl", (0x5961_6D61, _OTHER_PID), errno.EPERM),  # SET_PTRACER
        ("fcntl", (3, 3), _ALLOWED),  # GETFL
        ("fcntl", (3, 6), _ALLOWED),  # SETLK
        ("fcntl", (3, 8, _OTHER_PID), errno.EPERM),  # SETOWN
        ("fcntl", (3, 10, 9), errno.EPERM),  # SETSIG
        ("fcntl", (3, 15), errno.EPERM),  # SETOWN_EX
        ("fcntl", (3, 1024), errno.EPERM),  # SETLEASE
        ("fcntl", (3, 1031, 1 << 20), errno.EPERM),  # SETPIPE_SZ
        ("ioctl", (3, 0x5421), _ALLOWED),  # FIONBIO
        ("ioctl", (3, 0x4030_5828), errno.EPERM),  # FS_IOC_RESVSP, another fallocate
        ("ioctl", (3, 0x8901), errno.EPERM),  # FIOSETOWN
        ("ioctl", (3, 0x8902), errno.EPERM),  # SIOCSPGRP
        ("ioctl", (0, 0x5412), errno.EPERM),  # TIOCSTI
        ("socket", (socket.AF_INET, _STREAM), errno.EPERM),
        ("socket", (socket.AF_UNIX, _STREAM), errno.EPERM),
        ("socketpair", (socket.AF_UNIX, _STREAM), _ALLOWED),
        ("socketpair", (socket.AF_UNIX, socket.SOCK_SEQPACKET), _ALLOWED),
        ("socketpair", (socket.AF_UNIX, _DATAGRAM), errno.EPERM),
        ("socketpair", (30, _STREAM), errno.EPERM),  # AF_TIPC
        ("sendto", (3, 0, 0, socket.MSG_NOSIGNAL), _ALLOWED),
        ("sendto", (3, 0, 0, _FAST_OPEN | socket.MSG_NOSIGNAL), errno.EPERM),
        ("clock_gettime", (1,), _ALLOWED),
        ("clock_gettime", (~_OTHER_PID << 3 | 2,), errno.EPERM),
        ("clock_nanosleep", (0,), _ALLOWED),
        ("getpriority", (0, _PID), _ALLOWED),
        ("getpriority", (0, _OTHER_PID), errno.EPERM),
        ("getpriority", (1, 0), errno.EPERM),  # of a group
        ("getpriority", (2, 0), errno.EPERM),  # of a user
    ],
)
def test_arguments_decide(
    machine: bpf.Architecture, call: str, arguments: tuple[int, ...], answer: int
) -> None:
    assert _answer(call, *arguments, machine=machine) == answer


@machines
@pytest.mark.parametrize("call", ["kill", "tkill", "tgkill"])
def test_it_sends_signals_to_itself_only(machine: bpf.Architecture, call: str) -> None:
    assert _answer(call, _PID, machine=machine) == _ALLOWED
    others = {_answer(call, each, machine=machine) for each in (_OTHER_PID, 0, -1, -_PID)}
    assert others == {errno.EPERM}


@machines
@pytest.mark.parametrize(
    "call",
    [
        "prlimit64",
        "getpgid",
        "getsid",
        "get_robust_list",
        "sched_getaffinity",
        "sched_getattr",
        "sched_getparam",
        "sched_getscheduler",
        "sched_rr_get_interval",
    ],
)
def test_it_asks_about_itself_only(machine: bpf.Architecture, call: str) -> None:
    assert {_answer(call, each, machine=machine) for each in (0, _PID)} == {_ALLOWED}
    assert _answer(call, _OTHER_PID, machine=machine) == errno.EPERM


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
    assert (_answer("bind", 3, sockets=True), _answer("bind", 3)) == (_ALLOWED, errno.EPERM)


def test_calls_by_other_numbers_are_refused_whatever_they_are() -> None:
    read, getpid = 0, 39
    assert _answer(getpid) == _ALLOWED
    assert _answer(getpid, audit=_I386_AUDIT) == errno.EPERM
    assert _answer(0x4000_0000 + read) == errno.ENOSYS  # x32


def test_each_call_is_in_one_class_and_each_rule_is_of_a_call() -> None:
    for column in (0, 1):
        numbers = [
            number
            for each in calls.CLASSES
            for number in calls.numbers(each.calls, column).values()
        ]
        assert len(numbers) == len(set(numbers))
    looked_into = {
        name
        for each in calls.CLASSES
        if each.verdict in {Verdict.BY_ARGUMENTS, Verdict.WITH_PORTS}
        for name in calls.numbers(each.calls, 0)
    }
    assert looked_into == set(RULES)


@pytest.mark.parametrize(("column", "header"), [(0, _OF_THIS_MACHINE), (1, _GENERIC)])
def test_the_list_is_whole_and_its_numbers_are_the_kernels(column: int, header: Path) -> None:
    """As far as this machine's headers go; what a newer kernel has besides is not in the list, and absent."""
    if not header.exists() or (column == 0 and os.uname().machine != "x86_64"):
        pytest.skip(f"the kernel's header {header} is not installed")
    pattern = re.compile(r"#define __NR(?:3264)?_(\w+)\s+(\d+)")
    known = {
        _OTHER_NAMES.get(name, name): int(number)
        for name, number in pattern.findall(header.read_text())
        if name not in _NOT_HERE and not (column == 1 and int(number) in _OF_32_BITS)
    }
    listed = calls.all_numbers(column)
    last = max(listed.values())
    missing = {name for name, number in known.items() if number <= last} - set(listed)
    assert len(known) > 250
    assert not missing
    assert {name: listed[name] for name in known if name in listed} == {
        name: number for name, number in known.items() if name in listed
    }
