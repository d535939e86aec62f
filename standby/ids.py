"""Names of things: small types, validated once at the edge and trusted afterwards.

Identity, not name: a server process is `(wrapper id, slot, boot id)`. The slot is reused, the boot id never is, so
whatever is said about a process carries its boot id, and whatever is said about a user's data carries its generation.
"""

import re
import secrets
from typing import Annotated, Final, NewType

from msgspec import Meta

Uid = NewType("Uid", str)
"""A user: one DNS label in lower case, because it travels as the TLS server name (SNI)."""
WrapperId = NewType("WrapperId", str)
"""An App Wrapper: one DNS label, stable over its restarts."""
BootId = NewType("BootId", str)
"""One life of one server process: 16 hex digits, random, new at each start."""
Slot = NewType("Slot", int)
"""A place in a wrapper's pool; successive processes occupy it."""
Generation = NewType("Generation", int)
"""One claim of one user's volume; kept with the volume, only ever grows, starts at 1."""
Epoch = NewType("Epoch", int)
"""One life of one wrapper; grows at each of its starts."""

# `$` alone would accept a trailing newline; the look-ahead does not, in Python and in ECMAScript (JSON Schema) alike.
LABEL_PATTERN: Final = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$(?!\n)"
BOOT_ID_PATTERN: Final = r"^[0-9a-f]{16}$(?!\n)"

UidField = Annotated[Uid, Meta(pattern=LABEL_PATTERN, description="user id, a DNS label")]
WrapperIdField = Annotated[
    WrapperId, Meta(pattern=LABEL_PATTERN, description="wrapper id, a DNS label")
]
BootIdField = Annotated[BootId, Meta(pattern=BOOT_ID_PATTERN, description="one process life")]
SlotField = Annotated[Slot, Meta(ge=0, le=1_000_000, description="place in the wrapper's pool")]
GenerationField = Annotated[Generation, Meta(ge=1, description="one claim of the user's volume")]
EpochField = Annotated[Epoch, Meta(ge=0, description="one life of the wrapper")]

_LABEL = re.compile(LABEL_PATTERN)


class InvalidIdError(ValueError):
    """A name that is not a DNS label: 1 to 63 of a-z, 0-9 and inner hyphens."""


def _label(text: str, what: str) -> str:
    if not _LABEL.search(text):
        raise InvalidIdError(
            f"{what} must be a DNS label: 1 to 63 of a-z, 0-9 and inner hyphens, not {text[:80]!r}"
        )
    return text


def parse_uid(text: str) -> Uid:
    """The user id written as `text`.

    Upper case is folded, as DNS names compare without case.

    Raises:
        InvalidIdError: not one DNS label.
    """
    return Uid(_label(text.lower(), "a user id"))


def parse_wrapper_id(text: str) -> WrapperId:
    """The wrapper id written as `text`.

    Raises:
        InvalidIdError: not one DNS label.
    """
    return WrapperId(_label(text, "a wrapper id"))


def new_boot_id() -> BootId:
    return BootId(secrets.token_hex(8))
