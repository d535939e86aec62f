"""How many connections the kernel keeps for a listening socket of ours that are not yet accepted."""

from typing import Final

BACKLOG: Final = 1024
