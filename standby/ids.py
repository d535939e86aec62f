"""Names of things: small types, validated once at the edge and trusted afterwards.

Identity, not name: a server process is `(wrapper id, slot, boot id)`. The slot is reused, the boot id never is, so
whatever is said about a process carries its boot id, and whatever is said about a user's data carries its generation.

Numbers end at `LARGEST`. Epochs and generations grow by one, so they never get there by themselves; one that stands
there was not counted, and nothing follows it: no number is used twice.
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

LARGEST: Final = 2**53 - 1
"""Of every number in a message: the largest that all readers of JSON keep exactly, those in Lua and browsers too."""
EPOCH_LEAP: Final = 1 << 20
"""How far above the epoch that is known a claimed one is believed: a wrapper that starts anew every second for twelve
days. It takes 2^33 claims to come near the end."""

# `$` alone would accept a trailing newline; the look-ahead does not, in Python and in ECMAScript (JSON Schema) alike.
LABEL_PATTERN: Final = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$(?!\n)"
BOOT_ID_PATTERN: Final = r"^[0-9a-f]{16}$(?!\n)"

UidField = Annotated[
    Uid, Meta(max_length=63, pattern=LABEL_PATTERN, description="user id, a DNS label")
]
WrapperIdField = Annotated[
    WrapperId, Meta(max_length=63, pattern=LABEL_PATTERN, description="wrapper id, a DNS label")
]
BootIdField = Annotated[
    BootId, Meta(max_length=16, pattern=BOOT_ID_PATTERN, description="one process life")
]
SlotField = Annotated[Slot, Meta(ge=0, le=1_000_000, description="place in the wrapper's pool")]
GenerationField = Annotated[
    Generation, Meta(ge=1, le=LARGEST, description="one claim of the user's volume")
]
EpochField = Annotated[Epoch, Meta(ge=0, le=LARGEST, description="one life of the wrapper")]
Count = Annotated[int, Meta(ge=0, le=LARGEST)]

_LABEL = re.compile(LABEL_PATTERN)
_DIGITS = re.compile(r"[0-9]{1,16}")


class InvalidIdError(ValueError):
    """A name that is not a DNS label (1 to 63 of a-z, 0-9 and inner hyphens), or a number out of its range."""


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


def parse_number(text: str, least: int = 0) -> int:
    """The number from `least` to `LARGEST` that `text` writes in decimal digits, without sign or spaces.

    Raises:
        InvalidIdError: something else.
    """
    if not _DIGITS.fullmatch(text) or not least <= int(text) <= LARGEST:
        raise InvalidIdError(f"a number from {least} to {LARGEST} is needed, not {text[:20]!r}")
    return int(text)


def believable(claimed: Epoch, known: Epoch) -> bool:
    """Whether a wrapper whose last known epoch is `known` may be in the epoch that is `claimed` of it.

    Whoever claims it may be wrong or have another's certificate. So no claim takes a wrapper to the end of its epochs.
    """
    return claimed <= known + EPOCH_LEAP and claimed < LARGEST


def new_boot_id() -> BootId:
    return BootId(secrets.token_hex(8))
