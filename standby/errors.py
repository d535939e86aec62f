"""What every error that crosses a process boundary has in common.

    PlatformError                 code, status, retry
    ├── BadRequestError           the caller's fault, the same again would fail the same way
    ├── ForbiddenError            the caller is known and may not
    ├── NotFoundError
    ├── TooLargeError
    └── UnavailableError          not now; a retry helps

Each package draws its own tree below one of these. `code` is stable and documented in the OpenAPI file; `message` says
what happened and what to do; neither ever holds a secret. On the wire: `{"error": {"code", "message", "id"}}`, and the
same id is in the log.
"""

import errno
import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Final

from standby.logs import Level


class PlatformError(Exception):
    """An error with a stable code; `str()` of it is the message for people.

    `about` are fields for the log: to whom it happened, where the request does not say that.
    """

    about: Mapping[str, object] = MappingProxyType({})

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    retry: ClassVar[bool] = False
    """Whether the same request can succeed later."""
    level: ClassVar[Level] = Level.INFO
    """How much a refusal with it matters to an operator."""


class BadRequestError(PlatformError):
    code = "bad_request"
    status = 400


class ForbiddenError(PlatformError):
    code = "forbidden"
    status = 403


class NotFoundError(PlatformError):
    code = "not_found"
    status = 404


class TooLargeError(PlatformError):
    code = "body_too_large"
    status = 413


class UnavailableError(PlatformError):
    code = "unavailable"
    status = 503
    retry = True
    level = Level.WARNING


_EXHAUSTED: Final = MappingProxyType(
    {
        errno.EMFILE: "this process has no file descriptors left; raise its limit (ulimit -n)",
        errno.ENFILE: "this machine has no file descriptors left; raise its limit (fs.file-max)",
    }
)
"""Whatever file was to be opened plays no part in it."""


def words(error: BaseException, *, named: bool = True) -> str:
    """What an error of the system or of a library means, for people; never a Python expression.

    Our own errors are such texts already. Those of the system have a number, which has a text; those of aiohttp wrap
    one. An error without any text is told by its kind. `named`: with the file's name, which is not for users.

    Errors of TLS, and of looking up a host, are errors of the system by their class alone: their numbers are OpenSSL's
    and the resolver's.
    """
    system = getattr(error, "os_error", error)
    if _of_tls(system):
        return _reason(system)
    if isinstance(error, TimeoutError) and not error.errno:
        return str(error) or "no answer in time"
    if isinstance(system, OSError) and system.errno and system.errno > 0:
        if system.errno in _EXHAUSTED:
            return _EXHAUSTED[system.errno]
        text = os.strerror(system.errno)
        return f"{system.filename}: {text}" if system.filename and named else text
    if isinstance(system, OSError) and system.errno and system.strerror:
        return system.strerror  # the resolver's numbers are negative
    return str(error) or type(error).__name__


def _of_tls(error: BaseException) -> bool:
    """Without the module `ssl`, which not every process has loaded; errors of aiohttp that wrap one are not meant."""
    return type(error).__module__ == "ssl"


def _reason(error: BaseException) -> str:
    """OpenSSL's name of what went wrong, as words, and what it did not like about a certificate."""
    reason = (getattr(error, "reason", None) or "").lower().replace("_", " ") or "TLS error"
    detail = getattr(error, "verify_message", None)
    return f"{reason}: {detail}" if detail else reason
