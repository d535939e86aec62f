"""A user's directory as `standby enroll` makes it: all that a client needs, by fixed names, and where the platform is.

    profile.toml     the platform's address, the user and the role of the certificate
    client.pem, client-key.pem, ca.pem, db.key, policy.toml

`profile.toml` holds nothing secret. A user may edit it, e.g. when the platform moves.
"""

import json
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from standby import decode
from standby.decode import UnreadableError
from standby.ids import LABEL_PATTERN

FILE: Final = "profile.toml"
CERTIFICATE: Final = "client.pem"
KEY: Final = "client-key.pem"
AUTHORITIES: Final = "ca.pem"
_LIMIT: Final = 4096
"""Bytes; it has four short lines."""
_HEAD: Final = (
    "# Written by `standby enroll` for `smartgrid-client --profile`. The address may be edited.\n"
)


class Profile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    server: Annotated[str, Meta(min_length=1, max_length=253)]
    port: Annotated[int, Meta(ge=1, le=65535)]
    user: Annotated[str, Meta(max_length=63, pattern=LABEL_PATTERN)]
    role: Literal["customer", "meter"]


def write(directory: Path, profile: Profile) -> None:
    """Write `profile.toml`, whole or not at all."""
    lines = (
        f"{name} = {json.dumps(value)}\n" for name, value in msgspec.to_builtins(profile).items()
    )
    fresh = directory / f".{FILE}.new"
    fresh.write_text(_HEAD + "".join(lines), encoding="utf-8")
    fresh.replace(directory / FILE)


def read(directory: Path) -> Profile:
    """What `profile.toml` in this directory says.

    Raises:
        ValueError: it is not there, or not as it should be; the text says which.
    """
    file = directory / FILE
    try:
        with file.open("rb") as opened:
            text = opened.read(_LIMIT)
        return decode.toml(text, Profile)
    except OSError as error:
        raise ValueError(
            f"{directory} holds no profile ({FILE}: {error.strerror}); pass a directory that "
            "`standby enroll` made"
        ) from error
    except UnreadableError as error:
        raise ValueError(f"{file} cannot be used: {error}") from error


def options(directory: Path) -> dict[str, object]:
    """The profile as values of the client's options, by parameter.

    Raises:
        ValueError: as `read`.
    """
    profile = read(directory)
    return {
        "cert": str(directory / CERTIFICATE),
        "private_key": str(directory / KEY),
        "authorities": str(directory / AUTHORITIES),
        "server": profile.server,
        "port": profile.port,
        "uid": profile.user,
        "mode": profile.role,
        "keydir": str(directory),
    }
