"""Simulated enclaves: what an enclave costs, for experiments on machines that cannot run one. They protect nothing.

A server is started as a program (launcher `spawn`) and then costs more: it is not heard before an enclave would have
started; memory of the size of an enclave's heap is really taken as long as it lives; what does not fit into the EPC is
paged, and starting and LOGIN wait for that. Each number comes from `launchers/enclave.toml`, with its source.

parameters.py  that file
epc.py         which pages are in the EPC (pure)
heap.py        the memory that is taken
launcher.py    the launcher, and the handle that holds words back

Not simulated:
- protection of any kind, sealing, attestation;
- what requests in a session cost in an enclave (system calls, encrypted memory, paging); only start and LOGIN wait;
- processor time: starts and paging are waited for, so they cost others nothing, and any number goes on side by side;
- memory of the program inside of the heap: the program's own memory comes on top of it;
- working sets that are larger than the EPC: they are cut to its size.

Where a model had to be chosen, the cheaper one was: the pages that a LOGIN uses are the last of their enclave to be
paged out, and they are used by nothing but the start and the LOGIN. So the delay of a LOGIN is rather too short.
"""
