"""A policy with its writer's signature: a policy file whose last line is the signature of all that stands before it.

One file, because two could come apart: it is replaced as a whole, sent as a whole, and offered at a URL as a whole. The
last line is a comment of TOML, so whatever reads policies reads signed ones too.

This module only finds the signature and puts it there, which is all that wrappers and servers need to pass a policy on.
Whether it is good is decided by a client, with the key that the client has (`attestation.policy_signing`).

Rejected: a second file for the signature, since a crash between two writes leaves a policy without its own signature.
"""

import base64
import binascii
from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta, Struct

LONGEST: Final = 1 << 14
"""Bytes of a policy that can be signed: room for about 200 measurements; servers send it with their evidence."""
SIGNATURE_SIZE: Final = 64
"""Bytes of a signature by Ed25519."""
_MARK: Final = b"# signature: "
_LINE: Final = len(_MARK) + 4 * -(-SIGNATURE_SIZE // 3) + 1
"""Bytes of the last line."""


class SignedPolicy(Struct, frozen=True):
    """Nothing of it is believed yet."""

    text: Annotated[bytes, Meta(max_length=LONGEST)]
    signature: Annotated[bytes, Meta(min_length=SIGNATURE_SIZE, max_length=SIGNATURE_SIZE)]

    @property
    def content(self) -> bytes:
        """As it lies in a file."""
        return self.text + _MARK + base64.b64encode(self.signature) + b"\n"


def read(content: bytes) -> SignedPolicy | None:
    """The policy that a file holds; None: it is not signed, or too long to be passed on."""
    text, line = content[:-_LINE], content[-_LINE:]
    if not line.startswith(_MARK) or not text.endswith(b"\n") or len(text) > LONGEST:
        return None
    try:
        signature = base64.b64decode(line.removeprefix(_MARK).rstrip(b"\n"), validate=True)
    except binascii.Error:
        return None
    found = SignedPolicy(text, signature)
    return found if len(signature) == SIGNATURE_SIZE and found.content == content else None


def unsigned(content: bytes) -> bytes:
    """The file's policy without a signature; all of it if it has none."""
    found = read(content)
    return content if found is None else found.text


def load(file: Path) -> SignedPolicy | None:
    """The signed policy in a file; None: there is none in it now."""
    try:
        with file.open("rb") as stream:
            return read(stream.read(LONGEST + _LINE + 1))
    except OSError:
        return None
