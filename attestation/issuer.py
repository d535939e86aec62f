"""Server certificates, minted inside the server process for whichever user is sent to it.

The process makes one key pair at start, off the path of clients; for each user it signs a certificate with CN = uid
and DNS name = uid, valid for `LIFETIME`. Certificates of recent users are kept, a few only, because a standby server
meets few users before one of them logs in.
"""

import datetime as dt
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509

from standby import pki
from standby.identity import Identity, Role
from standby.ids import Uid

LIFETIME: Final = dt.timedelta(minutes=30)
KEPT: Final = 16
RENEW_BEFORE: Final = dt.timedelta(minutes=5)


@dataclass(frozen=True)
class ServerCertificate:
    """A certificate for one user's name: PEM chain (leaf first, without the root) and PEM key."""

    chain_pem: bytes
    key_pem: bytes
    not_after: dt.datetime


class ServerIssuer:
    """Signs this process's certificates with the pool's issuing authority."""

    def __init__(self, authority: pki.Authority) -> None:
        self._authority = authority
        self._key = pki.new_key()
        self._kept: OrderedDict[Uid, ServerCertificate] = OrderedDict()

    @classmethod
    def load(cls, certificate_file: Path, key_file: Path) -> "ServerIssuer":
        """From the issuing authority's PEM files.

        Raises:
            OSError: a file cannot be read.
            ValueError: a file holds something else.
        """
        return cls(pki.Authority.load(certificate_file, key_file))

    def certificate(self, uid: Uid) -> ServerCertificate:
        """This process's certificate for `uid`, made now or within the last minutes."""
        kept = self._kept.get(uid)
        if kept is None or kept.not_after - dt.datetime.now(dt.UTC) < RENEW_BEFORE:
            kept = self._mint(uid)
            self._kept[uid] = kept
        self._kept.move_to_end(uid)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return kept

    def _mint(self, uid: Uid) -> ServerCertificate:
        leaf: x509.Certificate = self._authority.issue(
            self._key.public_key(),
            Identity(Role.SERVER, uid),
            pki.Usage(server=True),
            LIFETIME,
            hosts=[uid],
        )
        chain = (leaf, *self._authority.chain)
        return ServerCertificate(
            chain_pem=b"".join(pki.certificate_pem(each) for each in chain),
            key_pem=pki.key_pem(self._key),
            not_after=leaf.not_valid_after_utc,
        )
