"""What a user shows of themselves: a certificate for TLS, and the proof that they log in at one server.

The proof is a signature by the certificate's key (`attestation.login_proof`). The user id in it is the certificate's,
whatever the client was told to ask for.
"""

import ssl
from dataclasses import dataclass, field
from typing import Self

from cryptography import x509

from attestation import login_proof
from smartgrid_client import private_key
from smartgrid_client.errors import ServerNotTrustedError
from smartgrid_client.messages import LoginChallenge, LoginProof
from smartgrid_client.own_certificate import CredentialsError, OwnCertificate
from standby import pki
from standby.ids import Uid
from standby.tls import TlsFiles, client_context


@dataclass(frozen=True, slots=True)
class Credentials:
    """Of one user; several clients may share them."""

    context: ssl.SSLContext
    uid: Uid
    """Of the certificate."""
    key: pki.PrivateKey = field(repr=False)

    @classmethod
    def load(cls, files: TlsFiles, ask: private_key.Ask = private_key.ask_on_terminal) -> Self:
        """From PEM files; `ask` gives the passphrase of a key that is encrypted.

        Raises:
            CredentialsError: the certificate or the key cannot be used, or they do not belong together.
            SettingsError: the authorities cannot be used.
        """
        certificate = OwnCertificate.read(files.certificate)
        key, passphrase = private_key.load(files.key, ask)
        if key.public_key() != certificate.key:
            raise CredentialsError(
                f"{files.key} is the key of another certificate than {files.certificate}: pass the two that were made "
                "together (client.pem and client-key.pem of one directory)"
            )
        return cls(client_context(files, passphrase), certificate.who.name, key)

    def prove(self, challenge: LoginChallenge, server_certificate: bytes) -> LoginProof | None:
        """The proof for the server that showed this certificate (DER) in the handshake; None: it needs none.

        Raises:
            ServerNotTrustedError: the certificate cannot be read.
        """
        if challenge.nonce is None:
            return None
        try:
            key = pki.public_key_of(x509.load_der_x509_certificate(server_certificate))
        except pki.UNREADABLE as error:
            raise ServerNotTrustedError(
                f"the server's certificate cannot be read: {error}"
            ) from error
        nonce = bytes.fromhex(challenge.nonce)
        signed = login_proof.text(self.uid, challenge.boot_id, key, nonce)
        return LoginProof(nonce=challenge.nonce, signature=login_proof.sign(self.key, signed))
