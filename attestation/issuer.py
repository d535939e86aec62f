"""Server certificates, minted inside the server process for whichever user is sent to it.

The process makes one key pair at start, off the path of clients; for each user it signs a certificate with CN = uid
and DNS name = uid, valid for `LIFETIME`. Certificates of recent users are kept, a few only, because a standby server
meets few users before one of them logs in.

It signs with an authority that is its own alone (`Credential`): for the same key, given to it for what it is, for a
short time and then anew. Each certificate carries the evidence, so that a client finds it in the first one. A server
that was started by hand signs with an authority from files instead, and its certificates carry no evidence.
"""

import datetime as dt
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from cryptography import x509

from attestation import extension
from attestation.evidence import Evidence
from attestation.signed_policy import SignedPolicy
from standby import pki
from standby.identity import Identity, Role
from standby.ids import Uid

LIFETIME: Final = dt.timedelta(minutes=30)
KEPT: Final = 16
RENEW_BEFORE: Final = dt.timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What a process was given for its own key, and by which evidence."""

    key: pki.PrivateKey = field(repr=False)
    chain: tuple[x509.Certificate, ...]
    """Without the root; the first is this process's own authority."""
    evidence: Evidence | None
    """None: its wrapper attests nothing."""
    claims: bytes
    collateral: bytes | None
    """What clients need to verify evidence of this platform, as JSON."""
    begins: dt.datetime
    """When it was given, by this machine's clock."""
    policy: SignedPolicy | None = None
    """Passed on to clients."""

    @property
    def ends(self) -> dt.datetime:
        return self.chain[0].not_valid_after_utc

    @property
    def renew_at(self) -> dt.datetime:
        """When two thirds of its life are over."""
        return self.begins + (self.ends - self.begins) * 2 / 3

    def good_at(self, now: dt.datetime) -> bool:
        """Not before its time either: a clock may be set back."""
        return self.chain[0].not_valid_before_utc <= now < self.ends


@dataclass(frozen=True)
class ServerCertificate:
    """A certificate for one user's name: PEM chain (leaf first, without the root) and PEM key."""

    chain_pem: bytes
    key_pem: bytes = field(repr=False)
    not_after: dt.datetime


class ServerIssuer:
    """Signs this process's certificates."""

    def __init__(
        self,
        authority: pki.Authority,
        key: pki.PrivateKey | None = None,
        extensions: Sequence[x509.ExtensionType] = (),
    ) -> None:
        """`key`: the process's own, which is made here if it is not given; `extensions` go into each certificate."""
        self._authority = authority
        self._key = key or pki.new_key()
        self._extensions = tuple(extensions)
        self._kept: OrderedDict[Uid, ServerCertificate] = OrderedDict()

    @classmethod
    def load(cls, certificate_file: Path, key_file: Path) -> Self:
        """From the PEM files of an authority that more servers have.

        Raises:
            OSError: a file cannot be read.
            ValueError: a file holds something else.
        """
        return cls(pki.Authority.load(certificate_file, key_file))

    @classmethod
    def of(cls, credential: Credential) -> Self:
        authority = pki.Authority(credential.key, credential.chain)
        return cls(authority, credential.key, _extensions(credential))

    def replace(self, credential: Credential) -> None:
        """Sign with another one from now on; what was signed before is not shown to new connections any more."""
        self._authority = pki.Authority(credential.key, credential.chain)
        self._key = credential.key
        self._extensions = _extensions(credential)
        self._kept.clear()

    def certificate(self, uid: Uid) -> ServerCertificate:
        """This process's certificate for `uid`, made now or within the last minutes."""
        kept = self._kept.get(uid)
        if kept is None or self._could_last_longer(kept):
            kept = self._mint(uid)
            self._kept[uid] = kept
        self._kept.move_to_end(uid)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return kept

    def _could_last_longer(self, certificate: ServerCertificate) -> bool:
        """Whether it ends soon, and before the authority does."""
        ends_soon = certificate.not_after - dt.datetime.now(dt.UTC) < RENEW_BEFORE
        return ends_soon and certificate.not_after < self._authority.certificate.not_valid_after_utc

    def _mint(self, uid: Uid) -> ServerCertificate:
        leaf: x509.Certificate = self._authority.issue(
            self._key.public_key(),
            Identity(Role.SERVER, uid),
            pki.Usage(server=True),
            LIFETIME,
            hosts=[uid],
            extensions=self._extensions,
        )
        chain = (leaf, *self._authority.chain)
        return ServerCertificate(
            chain_pem=b"".join(pki.certificate_pem(each) for each in chain),
            key_pem=pki.key_pem(self._key),
            not_after=leaf.not_valid_after_utc,
        )


def _extensions(credential: Credential) -> tuple[x509.ExtensionType, ...]:
    if credential.evidence is None:
        return ()
    return (extension.made(credential.evidence, credential.claims),)
