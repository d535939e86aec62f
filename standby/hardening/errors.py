"""The package's errors.

PlatformError
└── HardeningError     the process must end: it is not protected as its settings say
Exception
└── UnsupportedError   within the package: this kernel does not have it
"""

from standby.errors import PlatformError
from standby.hardening.report import Report


class HardeningError(PlatformError):
    """Some layers may have been applied; `report` says which, and None that none was tried."""

    code = "hardening_failed"

    def __init__(self, message: str, report: Report | None = None) -> None:
        super().__init__(message)
        self.report = report


class UnsupportedError(Exception):
    """What the layer needs is not in this kernel; the text says what that is."""
