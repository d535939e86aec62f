"""Experiments on whole platforms, each a command of its own: `python -m bench.<name> --help`.

platform.py    a platform that runs while a `with` lasts, and its users
spread.py      p50, p99 and maximum of measured values
machine.py     which machine and which versions a result belongs to
processes.py   what /proc says about the platform's processes
durability.py  what it costs that an acknowledged write is on disk
faults/        real clients while parts are killed and stopped; afterwards every database is compared
"""
