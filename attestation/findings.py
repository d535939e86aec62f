"""What a checker of ours has to say about a text: where, what, how bad, and a stable code."""

from enum import StrEnum

from msgspec import Struct


class Severity(StrEnum):
    ERROR = "error"
    """It would be refused, or it would not mean what it says."""
    WARNING = "warning"
    """It would be accepted, and it weakens what attestation proves or has no effect."""


class Finding(Struct, frozen=True):
    path: str
    """Where, as keys and indexes from the top: `services[0].attestation`."""
    code: str
    text: str
    severity: Severity = Severity.ERROR


def warning(path: str, code: str, text: str) -> Finding:
    return Finding(path, code, text, Severity.WARNING)
