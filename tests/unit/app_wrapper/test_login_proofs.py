"""Whose LOGIN a wrapper believes: the attacks of a server that was taken over, one by one, on the registrar alone."""

import datetime as dt
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from app_wrapper.attesting import logins
from app_wrapper.attesting.attended import Attended
from app_wrapper.attesting.logins import MOST_PROOFS, OtherUserError
from app_wrapper.attesting.users import AuthoritiesError, LoginProofError, Users
from app_wrapper.events import Bound, Proved, Said
from attestation import login_proof
from attestation.issuing import messages
from attestation.issuing.messages import LoginProof
from standby import pki
from standby.identity import Identity, Role
from standby.ids import BootId, Uid
from tests.support.certificates import Certificates

ANNA, BERT = Uid("anna"), Uid("bert")
DAY: Final = dt.timedelta(days=1)
HERE, ELSEWHERE = BootId("1" * 16), BootId("2" * 16)
KEY, OTHER_KEY = b"this server's key", b"another server's key"


@dataclass(frozen=True)
class User:
    """Signs what a client signs."""

    key: pki.PrivateKey
    certificate: bytes

    @classmethod
    def of(
        cls,
        authority: pki.Authority,
        uid: str = ANNA,
        role: Role = Role.CUSTOMER,
        key: pki.PrivateKey | None = None,
        lifetime: dt.timedelta = DAY,
        usage: pki.Usage = pki.Usage(client=True),  # noqa: B008  # frozen
    ) -> "User":
        key = key or pki.new_key()
        made = authority.issue(key.public_key(), Identity(role, Uid(uid)), usage, lifetime)
        return cls(key, made.public_bytes(Encoding.DER))

    def proof(
        self, nonce: bytes, uid: Uid = ANNA, boot_id: BootId = HERE, server_key: bytes = KEY
    ) -> LoginProof:
        signed = login_proof.text(uid, boot_id, server_key, nonce)
        return LoginProof(self.certificate, login_proof.sign(self.key, signed))


class Server:
    """One that was certified for its key, and its wrapper."""

    def __init__(self, users: Users, boot_id: BootId = HERE, key: bytes = KEY) -> None:
        self.attended = Attended(boot_id, lambda: "3a")
        self.attended.public_key = key
        self.told: list[Said] = []
        self._users = users

    def bind(self, uid: Uid = ANNA) -> bytes:
        return logins.bind(self.attended, uid, self.told.append).nonce

    def prove(self, proof: LoginProof) -> messages.Proved:
        return logins.prove(self.attended, proof, self._users, self.told.append)

    def refuses(self, proof: LoginProof, match: str) -> None:
        with pytest.raises(LoginProofError, match=match):
            self.prove(proof)
        assert Proved not in {type(each) for each in self.told}


@pytest.fixture
def users(certificates: Certificates) -> Users:
    return Users(certificates.users_ca)


@pytest.fixture
def server(users: Users) -> Server:
    return Server(users)


@pytest.fixture
def anna(certificates: Certificates) -> User:
    return User.of(certificates.users)


@pytest.mark.parametrize("role", [Role.CUSTOMER, Role.METER])
def test_the_user_who_is_there_is_believed_once(
    server: Server, certificates: Certificates, role: Role
) -> None:
    user = User.of(certificates.users, role=role)
    proof = user.proof(server.bind())
    assert server.prove(proof) == messages.Proved()
    assert server.told == [Bound(ANNA), Proved(ANNA)]
    with pytest.raises(LoginProofError, match="one LOGIN"):
        server.prove(proof)
    with pytest.raises(OtherUserError):
        server.bind()


def test_a_second_connection_of_the_user_has_the_same_nonce(server: Server, anna: User) -> None:
    first = server.bind()
    assert server.bind() == first
    server.prove(anna.proof(first))


def test_a_server_is_bound_to_one_user(server: Server, certificates: Certificates) -> None:
    nonce = server.bind(ANNA)
    with pytest.raises(OtherUserError):
        server.bind(BERT)
    assert server.told == [Bound(ANNA), Bound(BERT)], "the pool learns that it broke the rules"
    bert = User.of(certificates.users, BERT)
    server.told.clear()
    server.refuses(bert.proof(nonce, uid=BERT), "not of user anna")


def test_no_two_servers_have_the_same_nonce(users: Users) -> None:
    assert len({Server(users).bind() for _ in range(100)}) == 100


def test_a_proof_of_another_users_own_is_not_hers(
    server: Server, certificates: Certificates
) -> None:
    """Bert signs for anna, with the certificate that he has."""
    nonce = server.bind(ANNA)
    bert = User.of(certificates.users, BERT)
    server.refuses(bert.proof(nonce, uid=ANNA), "customer bert, not of user anna")
    meter = User.of(certificates.users, BERT, Role.METER)
    server.refuses(meter.proof(nonce, uid=ANNA), "meter bert, not of user anna")


def test_her_certificate_without_her_key_shows_nothing(
    server: Server, anna: User, certificates: Certificates
) -> None:
    """Every server that she was at knows her certificate."""
    bert = User.of(certificates.users, BERT)
    forged = replace(bert, certificate=anna.certificate)
    server.refuses(forged.proof(server.bind()), "signature")


def test_a_proof_for_another_process_key_or_moment_is_of_no_use_here(
    server: Server, anna: User
) -> None:
    nonce = server.bind()
    server.refuses(anna.proof(nonce, boot_id=ELSEWHERE), "signature")
    server.refuses(anna.proof(nonce, server_key=OTHER_KEY), "signature")
    server.refuses(anna.proof(bytes(32)), "signature")
    server.refuses(anna.proof(nonce, uid=BERT), "signature")
    server.prove(anna.proof(nonce))


def test_what_she_signed_for_an_earlier_process_is_of_no_use_in_the_next(
    users: Users, anna: User
) -> None:
    earlier, later = Server(users, ELSEWHERE), Server(users, HERE)
    proof = anna.proof(earlier.bind(), boot_id=ELSEWHERE)
    earlier.prove(proof)
    later.bind()
    later.refuses(proof, "signature")


def test_a_signature_over_anything_else_is_not_a_proof(
    server: Server, anna: User, certificates: Certificates
) -> None:
    server.bind()
    for signed in (b"", anna.certificate, login_proof.DOMAIN.encode()):
        signature = login_proof.sign(anna.key, signed)
        server.refuses(LoginProof(anna.certificate, signature), "signature")
    server.refuses(LoginProof(anna.certificate, b"\x30\x00"), "signature")
    del certificates


def test_without_a_certified_key_or_a_user_nothing_is_proved(users: Users, anna: User) -> None:
    fresh = Server(users)
    fresh.refuses(anna.proof(bytes(32)), "bound to its user")
    uncertified = Server(users)
    uncertified.attended.public_key = None
    uncertified.refuses(anna.proof(uncertified.bind()), "bound to its user")


def test_who_tries_without_end_is_not_listened_to(server: Server, anna: User) -> None:
    nonce = server.bind()
    for _ in range(MOST_PROOFS):
        server.refuses(anna.proof(bytes(32)), "signature")
    server.refuses(anna.proof(nonce), "no more")


# --- certificates that are not good


def _foreign(_: Certificates) -> User:
    return User.of(pki.Authority.create("test users", DAY))


def _of_a_server(certificates: Certificates) -> User:
    return User.of(certificates.servers)


def _of_a_part(certificates: Certificates) -> User:
    return User.of(certificates.parts, role=Role.OPERATOR)


def _expired(certificates: Certificates) -> User:
    return User.of(certificates.users, lifetime=-dt.timedelta(seconds=1))


def _for_servers_only(certificates: Certificates) -> User:
    return User.of(certificates.users, usage=pki.Usage(server=True))


def _of_another_role(certificates: Certificates) -> User:
    return User.of(certificates.users, role=Role.SERVER)


def _below_a_user(certificates: Certificates) -> User:
    """A user signs a certificate as if they were an authority."""
    bert = pki.new_key()
    leaf = certificates.users.issue(
        bert.public_key(), Identity(Role.CUSTOMER, BERT), pki.Usage(client=True), DAY
    )
    return User.of(pki.Authority(bert, [leaf]))


def _nonsense(certificates: Certificates) -> User:
    return replace(User.of(certificates.users), certificate=b"no certificate")


def _without_name(certificates: Certificates) -> User:
    """Signed by the users' authority, and names nobody."""
    key = pki.new_key()
    authority = certificates.users
    builder = authority._below(
        pki._common_name("anna"), key.public_key(), DAY, pki.Usage(client=True)
    )
    made = builder.add_extension(
        x509.SubjectAlternativeName([x509.DNSName("anna")]), critical=False
    ).sign(authority._key, hashes.SHA256())
    return User(key, made.public_bytes(Encoding.DER))


@pytest.mark.parametrize(
    "made",
    [
        _foreign,
        _of_a_server,
        _of_a_part,
        _expired,
        _for_servers_only,
        _of_another_role,
        _below_a_user,
        _nonsense,
        _without_name,
    ],
)
def test_a_certificate_that_is_not_a_users_shows_nothing(
    server: Server, certificates: Certificates, made: Callable[[Certificates], User]
) -> None:
    server.refuses(made(certificates).proof(server.bind()), "certificate")


def test_a_key_on_another_curve_is_refused_with_words(
    server: Server, certificates: Certificates
) -> None:
    user = User.of(certificates.users, key=ec.generate_private_key(ec.SECP384R1()))
    server.refuses(user.proof(server.bind()), "P-256")


# --- the authorities' file


def test_a_change_of_the_authorities_counts_at_once(
    certificates: Certificates, tmp_path: Path
) -> None:
    file = tmp_path / "users.pem"
    shutil.copy(certificates.users_ca, file)
    users = Users(file)
    others = pki.Authority.create("other users", DAY)
    new = User.of(others)
    server = Server(users)
    nonce = server.bind()
    server.refuses(new.proof(nonce), "certificate")
    file.write_bytes(file.read_bytes() + pki.certificate_pem(others.certificate))
    server.prove(new.proof(nonce))


def test_authorities_that_cannot_be_read_are_not_the_users_fault(
    certificates: Certificates, tmp_path: Path, anna: User
) -> None:
    file = tmp_path / "users.pem"
    shutil.copy(certificates.users_ca, file)
    server = Server(Users(file))
    nonce = server.bind()
    file.write_text("nothing")
    with pytest.raises(AuthoritiesError):
        server.prove(anna.proof(nonce))
    file.unlink()
    with pytest.raises(AuthoritiesError):
        server.prove(anna.proof(nonce))
    shutil.copy(certificates.users_ca, file)
    server.prove(anna.proof(nonce))


def test_the_text_is_what_the_documentation_says() -> None:
    """Clients in any language make it; `printf '%s\\n'` in the tutorial does."""
    text = login_proof.text(ANNA, HERE, b"key", bytes(range(32)))
    assert text == (
        b"standby-login-v1\nanna\n1111111111111111\n"
        b"2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683\n"
        b"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
    )
