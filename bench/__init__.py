"""Experiments on whole platforms, each a command of its own: `python -m bench.<name> --help`.

platform.py    a platform that runs while a `with` lasts, and its users
part.py        one part of a platform by itself; manager.py: a Routing Manager that is told of servers
spread.py      p50, p99 and maximum of measured values
machine.py     which machine and which versions a result belongs to
processes.py   what /proc says about the platform's processes
micro/         what one thing costs: a start, a connection, a LOGIN, a query, each against its rival
experiment/    the evaluation: approaches compared under load, by plans, with one page as the result
costs/         a profile's weights on what an evaluation has measured, standby against trivial
capacity/      how many standby servers so many users need
durability.py  what it costs that an acknowledged write is on disk
faults/        real clients while parts are killed and stopped; afterwards every database is compared
"""
