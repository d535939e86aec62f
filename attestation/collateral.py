"""What a verifier needs besides a quote: the root's signed word about platforms, and when it runs out.

TCB info says which versions of firmware and microcode are up to date, QE identity which quoting enclave is genuine, two
revocation lists which certificates are not valid any more. All of it is signed under the root, so it may come from
anywhere, also from the peer; what protects against an old copy is its dates and the verifier's clock.

The file is JSON as `dcap-qvl` writes it: certificates as PEM, lists and signatures as hex, the two signed documents as
the text that was signed.
"""

import datetime as dt
from pathlib import Path
from typing import Annotated, Final, Self

import msgspec
from cryptography import x509
from msgspec import Meta, Struct

from attestation.errors import CollateralError, CollateralUnavailableError
from standby import decode
from standby.decode import UnreadableError

_LONGEST: Final = 1 << 20
"""Characters of one part; a list of revoked processors has some hundred kilobytes at most."""
_Part = Annotated[str, Meta(max_length=_LONGEST)]


class Collateral(Struct, frozen=True, kw_only=True, omit_defaults=True):
    pck_crl_issuer_chain: _Part
    root_ca_crl: _Part
    pck_crl: _Part
    tcb_info_issuer_chain: _Part
    tcb_info: _Part
    tcb_info_signature: _Part
    qe_identity_issuer_chain: _Part
    qe_identity: _Part
    qe_identity_signature: _Part
    pck_certificate_chain: _Part | None = None
    """What a PCCS adds for quotes that do not carry their chain."""

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """From JSON.

        Raises:
            CollateralError: something else.
        """
        try:
            return decode.json(text, cls)
        except UnreadableError as error:
            raise CollateralError(f"not collateral ({error}): fetch it again") from error

    def to_json(self) -> bytes:
        return msgspec.json.encode(self)

    @classmethod
    def load(cls, file: Path) -> Self:
        """From a file.

        Raises:
            CollateralUnavailableError: it cannot be read.
            CollateralError: it holds something else.
        """
        try:
            content = file.read_bytes()
        except OSError as error:
            raise CollateralUnavailableError(
                f"no collateral in {file} ({error.strerror}): fetch it for the servers' platform"
            ) from error
        return cls.from_json(content)

    def save(self, file: Path) -> None:
        """Replace the file as a whole: who reads meanwhile gets the old or the new one. Everybody may read it."""
        fresh = file.with_name(f".{file.name}")
        fresh.write_bytes(self.to_json())
        fresh.replace(file)

    @property
    def runs_out(self) -> float:
        """When the first of its parts is to be renewed, in Unix seconds; from then on evidence is refused.

        Raises:
            CollateralError: a part cannot be read.
        """
        try:
            documents = [decode.json(each, _Dated) for each in (self.tcb_info, self.qe_identity)]
            lists = [
                x509.load_der_x509_crl(bytes.fromhex(each))
                for each in (self.root_ca_crl, self.pck_crl)
            ]
        except ValueError as error:
            raise CollateralError(f"collateral without dates ({error}): fetch it again") from error
        ends = [each.next_update for each in documents]
        ends += [each.next_update_utc for each in lists if each.next_update_utc is not None]
        return min(ends).timestamp()


class _Dated(Struct, rename="camel"):
    next_update: Annotated[dt.datetime, Meta(tz=True)]
