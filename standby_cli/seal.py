"""The key that seals a platform's own private keys on disk, and the sealing of keys that are not sealed yet.

It is made at the first use and never again: as long as anything is sealed with it, a missing key is an error, because
a new one would open nothing. What it protects from is a copy of the state directory (a backup, a disk that was thrown
away); who can read this machine's files as the operator has the key as well.
"""

import os
from pathlib import Path

from attestation import sealing
from standby import durable
from standby.errors import words
from standby.seal import Seal
from standby_cli.errors import CommandError
from standby_cli.layout import Layout

_PLAIN = b"-----BEGIN "


class SealError(CommandError):
    """A sealed file and the seal key do not fit, or one of them is gone."""


def of(layout: Layout) -> Seal:
    """The platform's seal; its key is made if nothing was ever sealed.

    Raises:
        SealError: the key is gone while there are files that only it opens, or it cannot be used.
    """
    key = layout.seal_key
    with layout.alone("seal"):
        return _of(key, layout)


def _of(key: Path, layout: Layout) -> Seal:
    sealed = [] if key.exists() else _sealed_files(layout)
    if sealed:
        others = f" and {len(sealed) - 1} other files" if len(sealed) > 1 else ""
        raise SealError(
            f"the seal key {key} is gone, and nothing else opens {sealed[0]}{others}; put the key back"
            " (or name its file with STANDBY_SEAL_KEY), a new one would not fit"
        )
    try:
        return sealing.load_or_create(key)
    except (OSError, ValueError) as error:
        raise SealError(f"the seal key {key} cannot be used: {words(error)}") from error


def _sealed_files(layout: Layout) -> list[Path]:
    places = (
        layout.pki.glob("*-ca-key.pem"),
        layout.pki.glob("issuer-*-key.pem"),
        layout.trust.glob("*.keys"),
        layout.trust.glob("*.key"),
        layout.freshness.glob("*.freshness"),
        layout.audit.glob("*/*.key"),
    )
    files = [file for place in places for file in sorted(place) if file.is_file()]
    return [file for file in files if not is_plain(file)]


def unopened(file: Path, layout: Layout, error: ValueError) -> SealError:
    """What the operator reads when the platform's seal does not open a file."""
    return SealError(
        f"{file} cannot be opened with the seal key {layout.seal_key}: {error}; put the right key back"
        " (or name its file with STANDBY_SEAL_KEY)"
    )


def is_plain(file: Path) -> bool:
    """Whether a private key lies there as anybody can read it, in PEM."""
    with file.open("rb") as stream:
        return stream.read(len(_PLAIN)) == _PLAIN


def seal_file(file: Path, seal: Seal) -> None:
    """Seal a file that is plain. Its old content is overwritten, as far as the disk lets one do that."""
    with file.open("r+b") as old:
        content = old.read()
        if content.startswith(_PLAIN):
            durable.replace(file, seal.close(content))
            _overwrite(old.fileno())


def remove(file: Path) -> None:
    """Remove a private key that is not used any more, and overwrite it."""
    with file.open("r+b") as old:
        file.unlink()
        _overwrite(old.fileno())


def _overwrite(descriptor: int) -> None:
    os.pwrite(descriptor, bytes(os.fstat(descriptor).st_size), 0)
    os.fsync(descriptor)
