"""A software platform in place of an SGX machine: quotes and collateral of the real formats, under a root of its own.

What it is for: the same code path from evidence to verdict as with hardware, on machines that have none. What it
proves: that whoever holds the platform's keys measured the process. That is the host, so nothing is proved against the
host. The names of all its certificates begin with SIMULATED, and a verifier that pins Intel's root refuses what it
signs.
"""
