"""What standby servers cost: recycling, memory, routing, LOGIN, writes and queries, each against its rival.

Everything runs on one machine, in one run; the variants that are compared take turns, so that a machine that is busy
for a while is busy for both. Medians, spreads and ratios are reported, never single values.

goals.py       what is required, and whether a result meets it
stage.py       platforms, clients and turns that the measurements share
recycle.py     from LOGOUT to a fresh READY server, by launcher
memory.py      of a waiting server, by launcher
routing.py     a new connection through the hook against a static map
manager.py     one Routing Manager with 50,000 instances
login.py       LOGIN by approach, and whole sessions per second
database.py    LONG_WRITE against bare INSERTs, QUERY_AVG against a scan
refill.py      QUERY_AVG while the pool is refilled, against quiet
"""
