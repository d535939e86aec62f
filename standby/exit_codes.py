"""How every part ends, for who started it: the exit codes of `standby.service`."""

from typing import Final

EXIT_FAILED: Final = 1
EXIT_DRAINED: Final = 3
"""Ordered by its API to leave for good, and did."""
EXIT_CONFIG: Final = 78
"""The settings cannot work, so starting it again would fail the same way (`EX_CONFIG` of sysexits.h)."""
