"""What a server process gives up before it meets a user, so that neither its neighbours nor its own faults do harm.

    layer          who is kept from what                                                      needs
    own-uid        it and its neighbours, from each other's files, memory and signals         a start as root
    rlimits        the kernel, from writing a core file                                       any Linux
    not-dumpable   processes of the same uid, from reading its memory, environment and files  any Linux
    no-new-privs   itself, from gaining rights by exec; the last two layers need it           Linux 3.5
    mdwe           itself, from making memory executable that was written                     Linux 6.3
    landlock       itself, from files that are not its own, from other TCP ports              Linux 5.13 and up
    seccomp        itself, from all system calls that no server needs: programs, other        Linux 3.17
                   processes, connections that go out, whatever outlives it (`calls`)

    harden(plan)      once, by a process of one thread and no event loop: every layer of the plan, in this order
    rehearse(plan)    before, in a template: halves what harden costs each server in time and memory
    narrow(places)    once more, when it is known what the user's files are

Each layer is a module of its own and knows nothing of the others. What a kernel lacks is said in the report; with
`Plan.required` it is an error. Nothing can be taken back: whoever meets an error here ends the process.

Not promised: anything against root of the host, its kernel or its hypervisor (`docs/explanation/threat-model.md`). Code
that runs inside a hardened server still has the server's secrets and its clients' connections. A uid of its own does
more against neighbours than all the rest, and is the only layer that hangs on who started the platform: without root
all servers share the account of their wrapper, and `required` puts up with that (`Report.excused`).

Rejected: bubblewrap and containers per server, which cost 25 ms and processes, and need an exec where we fork.
"""

from standby.hardening.apply import harden, narrow, rehearse
from standby.hardening.errors import HardeningError
from standby.hardening.plan import Layer, Places, Plan
from standby.hardening.report import LayerReport, Outcome, Report

__all__ = [
    "HardeningError",
    "Layer",
    "LayerReport",
    "Outcome",
    "Places",
    "Plan",
    "Report",
    "harden",
    "narrow",
    "rehearse",
]
