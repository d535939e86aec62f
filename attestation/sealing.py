"""Encryption of what is kept on a disk: AES-256-GCM under a key that is kept somewhere else.

    magic and version (17 bytes, authenticated) | nonce (12 bytes, random) | ciphertext and tag

Who has a copy of the sealed files and not of the key file can neither read nor change them unseen. That is all: who
can read the key file as well has everything, and a sealed file can be replaced by an older one, or by another one that
was sealed with the same key. So what is sealed has to say itself what it is, where this matters.

Nonces are random, so one key is good for 2**32 seals (NIST SP 800-38D, section 8.3); a platform makes some for each
session of a user and would need centuries.

Rejected: a key per file, derived from its name, because files are moved together with their directories; sealing to a
TPM or an enclave, because the machines this is for have neither in common. With SCONE the files need no seal of ours.
"""

import os
import secrets
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from standby import durable
from standby.seal import Seal

KEY_SIZE: Final = 32
_HEADER: Final = b"standby sealed 1\n"
_NONCE_SIZE: Final = 12


class Sealed:
    """A seal whose key is in this process's memory; threads may share it."""

    def __init__(self, key: bytes) -> None:
        """`key`: 32 random bytes."""
        self._cipher = AESGCM(key)

    def close(self, content: bytes) -> bytes:
        nonce = secrets.token_bytes(_NONCE_SIZE)
        return _HEADER + nonce + self._cipher.encrypt(nonce, content, _HEADER)

    def open(self, sealed: bytes) -> bytes:
        """What was closed.

        Raises:
            ValueError: sealed with another key, or changed, or not sealed at all.
        """
        if not sealed.startswith(_HEADER):
            raise ValueError("not sealed: it does not begin as sealed files do")
        nonce = sealed[len(_HEADER) : len(_HEADER) + _NONCE_SIZE]
        try:
            return self._cipher.decrypt(nonce, sealed[len(_HEADER) + _NONCE_SIZE :], _HEADER)
        except (InvalidTag, ValueError) as error:
            raise ValueError("sealed with another key, or changed") from error

    def __repr__(self) -> str:
        return "<seal>"


def load(key_file: Path) -> Sealed:
    """The seal whose key is in a file.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds something else than 64 hex digits; the text does not quote it.
    """
    text = key_file.read_bytes().strip()
    try:
        key = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        key = b""
    if len(key) != KEY_SIZE:
        raise ValueError(f"{key_file} is no seal key: {2 * KEY_SIZE} hex digits are expected")
    return Sealed(key)


def load_or_create(key_file: Path) -> Sealed:
    """The seal whose key is in a file, which is made with a new key if there is none.

    Of several that make it at once one wins, and all get that one's key. It is on disk when the call returns.

    Raises:
        OSError: the file can neither be read nor made.
        ValueError: it holds something else than a key.
    """
    if not key_file.exists():
        _create(key_file)
    return load(key_file)


def _create(key_file: Path) -> None:
    key_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = key_file.with_name(f".{key_file.name}.{secrets.token_hex(8)}")
    try:
        durable.write(fresh, secrets.token_hex(KEY_SIZE).encode() + b"\n")
        os.link(fresh, key_file)  # unlike a rename it never replaces the key of another
    except FileExistsError:
        pass
    finally:
        fresh.unlink(missing_ok=True)
    durable.sync(key_file.parent)


def signing_key(file: Path, seal: Seal) -> Ed25519PrivateKey:
    """The signing key that is kept sealed in a file, which is made with a new key if there is none.

    For one process at a time, as what is signed with it has one writer, too.

    Raises:
        OSError: the file can neither be read nor made.
        ValueError: it was sealed with another key, or holds something else.
    """
    try:
        return Ed25519PrivateKey.from_private_bytes(seal.open(file.read_bytes()))
    except FileNotFoundError:
        key = Ed25519PrivateKey.generate()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    durable.replace(file, seal.close(key.private_bytes_raw()))
    return key
