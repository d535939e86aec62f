"""The three approaches: how servers come to users."""

from enum import StrEnum


class Approach(StrEnum):
    STANDBY = "standby"
    """A pool of servers stands by; a user gets one of them at LOGIN."""
    ON_DEMAND = "on-demand"
    """A server is started for a user who comes."""
    TRIVIAL = "trivial"
    """Each user has a server that always runs."""
