r"""A user's proof that they log in at one server process: the text that their certificate's key signs.

    standby-login-v1
    <uid>
    <boot id of the process>
    <SHA-256 of the process's public key (SubjectPublicKeyInfo in DER), hex>
    <nonce of the process's wrapper, hex>

Five lines in ASCII, each ended by `\n`, signed with ECDSA on P-256 and SHA-256 (`openssl dgst -sha256 -sign`). The
first line keeps the signature apart from every other use of the key. No line can hold a line break, so no two
different contents make the same text.

The client takes the uid from its own certificate, and the key from the certificate that the TLS connection showed; only
boot id and nonce are the server's word. A server that passes on the boot id and the nonce of another process gets a
signature over its own key, which is of no use there.

The wrapper verifies the signature before it claims the user's volume (`app_wrapper.attesting`). The server only passes
it on: one that was taken over cannot make it, and a proof of another user, process or moment does not fit.

Not promised: a user who logs in at a server that was taken over before gives it their proof, and their key.
"""

import hashlib
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from standby import pki
from standby.ids import BootId, Uid

DOMAIN: Final = "standby-login-v1"
_ALGORITHM: Final = ec.ECDSA(hashes.SHA256())


def text(uid: Uid, boot_id: BootId, server_key: bytes, nonce: bytes) -> bytes:
    """What is signed; `server_key` is a SubjectPublicKeyInfo in DER."""
    digest = hashlib.sha256(server_key).hexdigest()
    lines = (DOMAIN, uid, boot_id, digest, nonce.hex())
    return "".join(f"{line}\n" for line in lines).encode("ascii")


def sign(key: pki.PrivateKey, signed: bytes) -> bytes:
    """The signature (DER) over a text."""
    return key.sign(signed, _ALGORITHM)


def is_signed(key: pki.PublicKey, signature: bytes, signed: bytes) -> bool:
    """Whether the owner of `key` signed exactly this text."""
    try:
        key.verify(signature, signed, _ALGORITHM)
    except InvalidSignature:
        return False
    return True
