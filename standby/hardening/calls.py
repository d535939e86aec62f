"""The system calls that a server has no use for, with their numbers; see `rules` for what is done about them.

Numbers are from the kernel's `arch/x86/entry/syscalls/syscall_64.tbl` and `include/uapi/asm-generic/unistd.h`
(aarch64); from 424 on all architectures have the same. None: the architecture has no such call.
"""

from typing import Final

Numbers = tuple[int | None, int | None]
"""Of x86_64 and aarch64."""


def _same(number: int) -> Numbers:
    return number, number


PROGRAMS: Final[dict[str, Numbers]] = {
    "execve": (59, 221),
    "execveat": (322, 281),
    "fork": (57, None),
    "vfork": (58, None),
}
"""What starts programs and processes, with `clone`."""

OTHER_PROCESSES: Final[dict[str, Numbers]] = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_send_signal": _same(424),
    "pidfd_open": _same(434),
    "pidfd_getfd": _same(438),
    "process_madvise": _same(440),
    "process_mrelease": _same(448),
}

NAMESPACES: Final[dict[str, Numbers]] = {
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": _same(428),
    "move_mount": _same(429),
    "fsopen": _same(430),
    "fsconfig": _same(431),
    "fsmount": _same(432),
    "fspick": _same(433),
    "mount_setattr": _same(442),
    "open_tree_attr": _same(467),
}

KERNEL: Final[dict[str, Numbers]] = {
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "syslog": (103, 116),
    "quotactl": (179, 60),
    "quotactl_fd": _same(443),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "personality": (135, 92),
    "vhangup": (153, 58),
}

AROUND_OTHER_CHECKS: Final[dict[str, Numbers]] = {
    "io_uring_setup": _same(425),  # does other calls' work where no filter sees it
    "io_uring_enter": _same(426),
    "io_uring_register": _same(427),
    "open_by_handle_at": (304, 265),  # opens without a path
    "name_to_handle_at": (303, 264),
    "fanotify_init": (300, 262),
    "add_key": (248, 217),  # the kernel's key rings are shared with other processes
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "connect": (42, 203),
}

LOOKED_INTO: Final[dict[str, Numbers]] = {
    "clone": (56, 220),
    "clone3": _same(435),
    "prctl": (157, 167),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "sendto": (44, 206),
    "sendmsg": (46, 211),
    "sendmmsg": (307, 269),
}
"""Whose arguments decide."""

NUMBERS: Final = {
    **PROGRAMS,
    **OTHER_PROCESSES,
    **NAMESPACES,
    **KERNEL,
    **AROUND_OTHER_CHECKS,
    **LOOKED_INTO,
}
