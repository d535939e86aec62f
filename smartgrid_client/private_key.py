"""The user's private key in a PEM file, encrypted or not.

The passphrase of an encrypted one comes from a file, or from the terminal by a question that names the key. Neither
argv nor the environment can hold it. Without this, OpenSSL asks by itself, twice, and does not say for what.
"""

import getpass
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from smartgrid_client.own_certificate import CredentialsError
from standby import pki
from standby.errors import words
from standby.secret import Secret

Ask = Callable[[Path], Secret]
"""Gives the passphrase of the key in this file."""
_TERMINAL: Final = "/dev/tty"
_LONGEST: Final = 1024
"""Bytes of a passphrase; OpenSSL takes as many."""


class PrivateKey(NamedTuple):
    key: pki.PrivateKey
    passphrase: Secret | None
    """Of its file; None: that is not encrypted."""


def load(file: Path, ask: Ask) -> PrivateKey:
    """The key in the file; `ask` is called if it is encrypted.

    Raises:
        CredentialsError: the file cannot be used, or not with this passphrase.
    """
    try:
        text = file.read_bytes()
    except OSError as error:
        raise CredentialsError(f"cannot read {words(error)}") from error
    passphrase = None
    try:
        key = load_pem_private_key(text, password=None)
    except TypeError:  # it is encrypted
        passphrase = ask(file)
        key = _decrypted(file, text, passphrase)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CredentialsError(f"{file} holds no private key in PEM") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CredentialsError(f"{file} holds no EC private key")
    return PrivateKey(key, passphrase)


def passphrase_from(file: Path) -> Ask:
    """Asks this file: its first line is the passphrase."""

    def ask(_key: Path) -> Secret:
        try:
            with file.open("rb") as opened:
                line = opened.readline(_LONGEST + 2).rstrip(b"\r\n")
        except OSError as error:
            raise CredentialsError(f"cannot read {words(error)}") from error
        return _passphrase(line, str(file))

    return ask


def ask_on_terminal(key: Path) -> Secret:
    """Asks the person at the terminal, wherever standard input and output lead."""
    try:
        os.close(os.open(_TERMINAL, os.O_RDWR | os.O_NOCTTY))
    except OSError as error:
        raise CredentialsError(
            f"{key} is encrypted, and there is no terminal to ask for its passphrase: have it in a file "
            "(--passphrase-file FILE)"
        ) from error
    return _passphrase(getpass.getpass(f"passphrase of {key}: ").encode(), "the answer")


def _passphrase(line: bytes, source: str) -> Secret:
    if not 0 < len(line) <= _LONGEST:
        raise CredentialsError(f"{source} is no passphrase: it has no characters, or too many")
    return Secret(line)


def _decrypted(file: Path, text: bytes, passphrase: Secret) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(text, password=bytes(passphrase.reveal()))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CredentialsError(f"{file} does not open with this passphrase") from error
