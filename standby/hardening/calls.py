"""Every system call of Linux up to 7.0, in classes: what a hardened server may do with each, and why.

The list is whole, so it is an allow-list and a deny-list at once. A call of a class that is allowed works. A call that
is refused fails with EPERM, so the attempt shows in the program's own error. A number that is in no class fails with
ENOSYS, as on a kernel that lacks the call: a newer kernel gives a server nothing that was not looked at here.

Whole classes are allowed (a process's own memory, threads, files and time), not the calls that a trace of one version
of Python and OpenSSL happened to show: another version may use another call of the same class. Refused is what acts on
other processes, on the machine, or on what outlives the process, and what no server needs.

Numbers are the kernel's: `arch/x86/entry/syscalls/syscall_64.tbl`, and `scripts/syscall.tbl` for aarch64. A call is
written as `name:x86_64:aarch64`, or `name:number` where both have the same; an architecture without it has no number.
The list is kept as text, because a server needs it once, for one architecture (`seccomp.compiled`).

Rejected: libseccomp and its Python binding, a dependency for a list of numbers that only grows at its end.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Verdict(StrEnum):
    ALLOWED = "allowed"
    BY_ARGUMENTS = "by its arguments"
    """See `rules`."""
    WITH_PORTS = "only to listen"
    """Where the plan has ports (`Plan.ports`), by its arguments; else refused."""
    REFUSED = "refused"
    """EPERM."""
    ABSENT = "absent"
    """ENOSYS: libraries then do without the call, as on a kernel that lacks it."""


@dataclass(frozen=True, slots=True)
class CallClass:
    """Calls about which the same is said."""

    title: str
    verdict: Verdict
    why: str
    calls: str


CLASSES: Final = (
    CallClass(
        "own memory",
        Verdict.ALLOWED,
        "Nothing of it is left when the process ends.",
        """
        brk:12:214 munmap:11:215 mremap:25:216 mprotect:10:226 madvise:28:233 msync:26:227
        mlock:149:228 mlock2:325:284 munlock:150:229 mlockall:151:230 munlockall:152:231 mseal:462
        pkey_alloc:330:289 pkey_free:331:290 pkey_mprotect:329:288 map_shadow_stack:453 memfd_secret:447
        """,
    ),
    CallClass(
        "own threads",
        Verdict.ALLOWED,
        "They act on the process itself. Filters and Landlock's rules can only take more away.",
        """
        exit:60:93 exit_group:231:94 futex:202:98 futex_wait:455 futex_wake:454 futex_waitv:449
        futex_requeue:456 set_robust_list:273:99 set_tid_address:218:96 rseq:334:293 rseq_slice_yield:471
        membarrier:324:283 arch_prctl:158: sched_yield:24:124 getcpu:309:168 restart_syscall:219:128 uprobe:336:
        uretprobe:335: seccomp:317:277 landlock_create_ruleset:444 landlock_add_rule:445
        landlock_restrict_self:446 wait4:61:260 waitid:247:95
        """,
    ),
    CallClass(
        "what it is and may use",
        Verdict.ALLOWED,
        "They answer about the process and the machine. Limits that it sets are its own.",
        """
        getpid:39:172 gettid:186:178 getppid:110:173 getpgrp:111: getuid:102:174 geteuid:107:175 getgid:104:176
        getegid:108:177 getresuid:118:148 getresgid:120:150 getgroups:115:158 umask:95:166 uname:63:160
        sysinfo:99:179 getrusage:98:165 times:100:153 getrlimit:97:163 setrlimit:160:164
        sched_get_priority_max:146:125 sched_get_priority_min:147:126
        """,
    ),
    CallClass(
        "time, waiting and random numbers",
        Verdict.ALLOWED,
        "An event loop consists of them.",
        """
        time:201: gettimeofday:96:169 nanosleep:35:101 pause:34: alarm:37: getitimer:36:102 setitimer:38:103
        poll:7: ppoll:271:73 select:23: pselect6:270:72 epoll_create:213: epoll_create1:291:20 epoll_ctl:233:21
        epoll_wait:232: epoll_pwait:281:22 epoll_pwait2:441 eventfd:284: eventfd2:290:19 timerfd_create:283:85
        timerfd_settime:286:86 timerfd_gettime:287:87 getrandom:318:278
        """,
    ),
    CallClass(
        "signals that it gets",
        Verdict.ALLOWED,
        "They decide what the process does about signals; to send them is another class.",
        """
        rt_sigaction:13:134 rt_sigprocmask:14:135 rt_sigpending:127:136 rt_sigtimedwait:128:137
        rt_sigsuspend:130:133 rt_sigreturn:15:139 sigaltstack:131:132 signalfd:282: signalfd4:289:74
        """,
    ),
    CallClass(
        "open files",
        Verdict.ALLOWED,
        "What can be opened is Landlock's decision and that of the files' modes.",
        """
        read:0:63 write:1:64 readv:19:65 writev:20:66 pread64:17:67 pwrite64:18:68 preadv:295:69 pwritev:296:70
        preadv2:327:286 pwritev2:328:287 lseek:8:62 close:3:57 close_range:436 dup:32:23 dup2:33: dup3:292:24
        pipe:22: pipe2:293:59 fsync:74:82 fdatasync:75:83 sync_file_range:277:84 ftruncate:77:46
        sendfile:40:71 copy_file_range:326:285 fstat:5:80 fstatfs:138:44 getdents:78:
        getdents64:217:61 fchdir:81:50
        """,
    ),
    CallClass(
        "files by name",
        Verdict.ALLOWED,
        "Landlock decides about each, but for those that only look (`stat`, `access`, `readlink`, `statfs`).",
        """
        open:2: openat:257:56 openat2:437 creat:85: stat:4: lstat:6: newfstatat:262:79 statx:332:291 access:21:
        faccessat:269:48 faccessat2:439 readlink:89: readlinkat:267:78 getcwd:79:17 chdir:80:49 statfs:137:43
        mkdir:83: mkdirat:258:34 rmdir:84: unlink:87: unlinkat:263:35 rename:82: renameat:264:38
        renameat2:316:276 truncate:76:45
        """,
    ),
    CallClass(
        "connections that came in",
        Verdict.ALLOWED,
        "They need a socket, and the process cannot make or connect one.",
        """
        accept:43:202 accept4:288:242 listen:50:201 shutdown:48:210 recvfrom:45:207 recvmsg:47:212
        recvmmsg:299:243 getsockname:51:204 getpeername:52:205 getsockopt:55:209 setsockopt:54:208
        """,
    ),
    CallClass(
        "several things in one call",
        Verdict.BY_ARGUMENTS,
        "Threads, but no processes (`clone`). Flags and locks of a descriptor, but no signal that it sends to a "
        "process of its choice, no lease, no larger pipe (`fcntl`, `ioctl`). Names and timers of the process, but "
        "not whether others may read it, nor that it outlives its parent (`prctl`). Pairs of connected sockets, but "
        "no datagrams. Data to a connection, but none that opens one (`sendto`). Memory of its own or of a file, but "
        "none that is shared without a file, or that grows by itself: no limit counts it (`mmap`).",
        """
        mmap:9:222 clone:56:220 prctl:157:167 fcntl:72:25 ioctl:16:29 socketpair:53:199 sendto:44:206
        """,
    ),
    CallClass(
        "calls that name a process",
        Verdict.BY_ARGUMENTS,
        "They are allowed for the process itself. On another process of the same account, such as the wrapper, a "
        "signal, a limit or a processor's number does lasting harm. A clock can name another process too.",
        """
        kill:62:129 tkill:200:130 tgkill:234:131 prlimit64:302:261 getpgid:121:155 getsid:124:156
        get_robust_list:274:100 getpriority:140:141 sched_getaffinity:204:123 sched_getattr:315:275
        sched_getparam:143:121 sched_getscheduler:145:120 sched_rr_get_interval:148:127
        clock_gettime:228:113 clock_getres:229:114 clock_nanosleep:230:115
        """,
    ),
    CallClass(
        "listening",
        Verdict.WITH_PORTS,
        "A server inherits the socket that it listens on. A bound name in the abstract namespace, or a port, is seen "
        "by all others.",
        """
        socket:41:198 bind:49:200
        """,
    ),
    CallClass(
        "calls that libraries do without",
        Verdict.ABSENT,
        "The flags of `clone3` lie in memory, which a filter cannot read; the C library then uses `clone`. A ring of "
        "io_uring does other calls' work where no filter sees it. Contexts of asynchronous I/O are counted for the "
        "whole machine.",
        """
        clone3:435 io_uring_setup:425 io_uring_enter:426 io_uring_register:427 io_setup:206:0 io_submit:209:2
        io_getevents:208:4 io_pgetevents:333:292 io_cancel:210:3 io_destroy:207:1
        """,
    ),
    CallClass(
        "programs, processes and groups of them",
        Verdict.REFUSED,
        "A child could outlive its server, and a new session or group would hide from the wrapper's kill.",
        """
        execve:59:221 execveat:322:281 fork:57: vfork:58: setsid:112:157 setpgid:109:154
        """,
    ),
    CallClass(
        "other processes",
        Verdict.REFUSED,
        "They read, change, signal or look into a process that is named by a pid, by a descriptor, or in memory, "
        "where a filter cannot see it (`capget`).",
        """
        ptrace:101:117 process_vm_readv:310:270 process_vm_writev:311:271 process_madvise:440
        process_mrelease:448 kcmp:312:272 pidfd_open:434 pidfd_getfd:438 pidfd_send_signal:424
        rt_sigqueueinfo:129:138 rt_tgsigqueueinfo:297:240 capget:125:90 migrate_pages:256:238
        move_pages:279:239 perf_event_open:298:241
        """,
    ),
    CallClass(
        "shares of processors and memory",
        Verdict.REFUSED,
        "The wrapper decides how much of the machine its servers get. All of these can name other processes.",
        """
        setpriority:141:140 ioprio_get:252:31 ioprio_set:251:30 sched_setaffinity:203:122 sched_setattr:314:274
        sched_setparam:142:118 sched_setscheduler:144:119 mbind:237:235 get_mempolicy:239:236
        set_mempolicy:238:237 set_mempolicy_home_node:450
        """,
    ),
    CallClass(
        "objects without a file: System V IPC, message queues, keys",
        Verdict.REFUSED,
        "They outlive the process, two servers can share them, and they are counted for the account or the machine.",
        """
        shmget:29:194 shmat:30:196 shmctl:31:195 shmdt:67:197 msgget:68:186 msgsnd:69:189 msgrcv:70:188
        msgctl:71:187 semget:64:190 semop:65:193 semtimedop:220:192 semctl:66:191 mq_open:240:180
        mq_unlink:241:181 mq_timedsend:242:182 mq_timedreceive:243:183 mq_notify:244:184 mq_getsetattr:245:185
        add_key:248:217 request_key:249:218 keyctl:250:219
        """,
    ),
    CallClass(
        "connections that go out, descriptors that are passed on",
        Verdict.REFUSED,
        "Descriptors in flight are counted for the account, so one server's could keep its wrapper from passing any. "
        "Messages can open a connection, too (TCP fast open).",
        """
        connect:42:203 sendmsg:46:211 sendmmsg:307:269
        """,
    ),
    CallClass(
        "modes, owners, times and attributes of files",
        Verdict.REFUSED,
        "Landlock does not look at them, so under the wrapper's account a server could close every file of the "
        "platform to all parts. SQLite goes on without them.",
        """
        chmod:90: fchmod:91:52 fchmodat:268:53 fchmodat2:452 chown:92: fchown:93:55 lchown:94: fchownat:260:54
        utime:132: utimes:235: futimesat:261: utimensat:280:88 setxattr:188:5 lsetxattr:189:6 fsetxattr:190:7
        setxattrat:463 getxattr:191:8 lgetxattr:192:9 fgetxattr:193:10 getxattrat:464 listxattr:194:11
        llistxattr:195:12 flistxattr:196:13 listxattrat:465 removexattr:197:14 lremovexattr:198:15
        fremovexattr:199:16 removexattrat:466 file_getattr:468 file_setattr:469
        """,
    ),
    CallClass(
        "links, devices and pipes with names; handles of files",
        Verdict.REFUSED,
        "A database needs none. Landlock refuses most of them as well.",
        """
        link:86: linkat:265:37 symlink:88: symlinkat:266:36 mknod:133: mknodat:259:33
        name_to_handle_at:303:264 open_by_handle_at:304:265
        """,
    ),
    CallClass(
        "locks and watches on files of others",
        Verdict.REFUSED,
        "Volumes are claimed by `flock`, for which a file needs only be readable. Watches are counted for the account.",
        """
        flock:73:32 inotify_init:253: inotify_init1:294:26 inotify_add_watch:254:27 inotify_rm_watch:255:28
        fanotify_init:300:262 fanotify_mark:301:263
        """,
    ),
    CallClass(
        "timers that send signals",
        Verdict.REFUSED,
        "They are counted for the account. Event loops use other timers.",
        """
        timer_create:222:107 timer_settime:223:110 timer_gettime:224:108 timer_getoverrun:225:109
        timer_delete:226:111
        """,
    ),
    CallClass(
        "memory and disk that no limit counts",
        Verdict.REFUSED,
        "Memory files are not counted with a process's memory, and blocks after a file's end not with its size.",
        """
        memfd_create:319:279 fallocate:285:47
        """,
    ),
    CallClass(
        "caches and disks of all",
        Verdict.REFUSED,
        "They make others wait for the disk, drop what others read, or tell what others have read.",
        """
        sync:162:81 syncfs:306:267 fadvise64:221:223 readahead:187:213 mincore:27:232 cachestat:451
        splice:275:76 tee:276:77 vmsplice:278:75
        """,
    ),
    CallClass(
        "users and rights",
        Verdict.REFUSED,
        "The process has the uid that it keeps.",
        """
        setuid:105:146 setgid:106:144 setreuid:113:145 setregid:114:143 setresuid:117:147 setresgid:119:149
        setfsuid:122:151 setfsgid:123:152 setgroups:116:159 capset:126:91
        """,
    ),
    CallClass(
        "namespaces and mounts",
        Verdict.REFUSED,
        "They would put the process, or what it sees, elsewhere.",
        """
        unshare:272:97 setns:308:268 listns:470 chroot:161:51 pivot_root:155:41 mount:165:40 umount2:166:39
        open_tree:428 open_tree_attr:467 move_mount:429 mount_setattr:442 fsopen:430 fsconfig:431 fsmount:432
        fspick:433 statmount:457 listmount:458
        """,
    ),
    CallClass(
        "the kernel and the machine",
        Verdict.REFUSED,
        "Most need root's rights; the rest has been a way to them.",
        """
        init_module:175:105 finit_module:313:273 delete_module:176:106 kexec_load:246:104
        kexec_file_load:320:294 reboot:169:142 bpf:321:280 userfaultfd:323:282 syslog:103:116 acct:163:89
        swapon:167:224 swapoff:168:225 quotactl:179:60 quotactl_fd:443 settimeofday:164:170
        clock_settime:227:112 clock_adjtime:305:266 adjtimex:159:171 sethostname:170:161 setdomainname:171:162
        iopl:172: ioperm:173: modify_ldt:154: personality:135:92 vhangup:153:58 lsm_get_self_attr:459
        lsm_set_self_attr:460 lsm_list_modules:461
        """,
    ),
    CallClass(
        "calls of the past",
        Verdict.REFUSED,
        "Most kernels have none of them.",
        """
        _sysctl:156: uselib:134: ustat:136: sysfs:139: create_module:174: get_kernel_syms:177: query_module:178:
        nfsservctl:180:42 getpmsg:181: putpmsg:182: afs_syscall:183: tuxcall:184: security:185: vserver:236:
        lookup_dcookie:212:18 set_thread_area:205: get_thread_area:211: epoll_ctl_old:214: epoll_wait_old:215:
        remap_file_pages:216:234
        """,
    ),
)


def numbers(calls: str, column: int) -> dict[str, int]:
    """The numbers of these calls by name, on one architecture (0: x86_64, 1: aarch64); what it lacks is left out."""
    found = {}
    for each in calls.split():
        name, *columns = each.split(":")
        if number := columns[column if len(columns) > 1 else 0]:
            found[name] = int(number)
    return found


def all_numbers(column: int) -> dict[str, int]:
    """The numbers of all calls, as `numbers`."""
    return {
        name: number for each in CLASSES for name, number in numbers(each.calls, column).items()
    }
