"""Evidence counts for one key, one challenge, one connection and one process; elsewhere it is refused."""

import datetime as dt
import hashlib

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from attestation import extension
from attestation.binding import MAX_SIZE, Binding, check, parse, report_data
from attestation.errors import (
    BadEvidenceError,
    BindingError,
    ClaimsMismatchError,
    NoEvidenceError,
    OtherInstanceError,
    OtherKeyError,
    StaleNonceError,
    WrongBinderError,
)
from attestation.evidence import DCAP_V3, Evidence
from attestation.verify import verify
from standby import pki
from tests.unit.attestation.simulated import NOW, PROCESS, Scene, scene

_NONCE = b"n" * 32
_BINDER = b"b" * 32
_INSTANCE = "0123456789abcdef"
_KEY = pki.new_key()


def _spki(key: pki.PrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _claims() -> bytes:
    return Binding.of_key(
        _spki(_KEY), nonce=_NONCE, tls_binder=_BINDER, instance=_INSTANCE
    ).claims()


def _check(
    claims: bytes | None = None,
    attested: bytes | None = None,
    public_key: bytes | None = None,
    nonce: bytes | None = _NONCE,
    tls_binder: bytes | None = _BINDER,
    instance: str | None = _INSTANCE,
) -> Binding:
    """Everything fits, but for what is given."""
    return check(
        claims or _claims(),
        attested or report_data(_claims()),
        public_key=public_key or _spki(_KEY),
        nonce=nonce,
        tls_binder=tls_binder,
        instance=instance,
    )


def _certificate(
    key: pki.PrivateKey, value: x509.UnrecognizedExtension | None, *, critical: bool = False
) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "alice")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + dt.timedelta(minutes=30))
    )
    if value is not None:
        builder = builder.add_extension(value, critical=critical)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


@given(
    st.binary(max_size=200),
    st.none() | st.binary(max_size=64),
    st.none() | st.binary(max_size=64),
    st.none() | st.text(max_size=64),
)
def test_what_was_said_is_read_back(
    key: bytes, nonce: bytes | None, binder: bytes | None, instance: str | None
) -> None:
    said = Binding.of_key(key, nonce=nonce, tls_binder=binder, instance=instance)
    assert parse(said.claims()) == said
    assert said.is_of(key)
    assert said.claims() == parse(said.claims()).claims()


@given(st.binary(max_size=300))
def test_other_bytes_are_refused_and_nothing_else_is_raised(raw: bytes) -> None:
    with pytest.raises(BindingError):
        parse(raw)


@given(st.data())
def test_damaged_claims_are_read_or_refused_and_nothing_else_is_raised(data: st.DataObject) -> None:
    raw = bytearray(_claims())
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        read = parse(bytes(raw))
    except BindingError:
        return
    assert isinstance(read, Binding)


def test_the_claims_are_those_of_interoperable_ra_tls() -> None:
    entries = cbor2.loads(_claims())
    assert list(entries) == sorted(entries, key=lambda key: (len(key), key))
    assert cbor2.loads(entries["pubkey-hash"]) == [1, hashlib.sha256(_spki(_KEY)).digest()]
    assert report_data(_claims()) == hashlib.sha256(_claims()).digest() + bytes(32)


@pytest.mark.parametrize(("number", "name"), [(1, "sha256"), (7, "sha384"), (8, "sha512")])
def test_claims_of_other_implementations_are_read(number: int, name: str) -> None:
    digest = hashlib.new(name, _spki(_KEY)).digest()
    foreign = cbor2.dumps({"key_0": b"value", "pubkey-hash": cbor2.dumps([number, digest])})
    said = check(
        foreign,
        report_data(foreign),
        public_key=_spki(_KEY),
        nonce=None,
        tls_binder=None,
        instance=None,
    )
    assert said.algorithm == number


@pytest.mark.parametrize(
    "entries",
    [
        [],
        {},
        {"pubkey-hash": "text"},
        {"pubkey-hash": cbor2.dumps([2, bytes(32)])},
        {"pubkey-hash": cbor2.dumps([1, bytes(32), 3])},
        {"pubkey-hash": cbor2.dumps([1, bytes(32)]), "nonce": "text"},
        {"pubkey-hash": cbor2.dumps([1, bytes(32)]), "instance": b"bytes"},
        {"pubkey-hash": cbor2.dumps([1, bytes(32)]), "x": [[[[[[]]]]]]},
        {"pubkey-hash": cbor2.dumps([1, bytes(32)]), "x": bytes(MAX_SIZE)},
    ],
)
def test_claims_of_another_shape_are_refused(entries: object) -> None:
    with pytest.raises(BindingError):
        parse(cbor2.dumps(entries))


def test_claims_that_say_a_thing_twice_are_refused() -> None:
    map_of_three = b"\xa3"
    key = cbor2.dumps("pubkey-hash") + cbor2.dumps(cbor2.dumps([1, bytes(32)]))
    nonce = cbor2.dumps("nonce") + cbor2.dumps(b"1")
    with pytest.raises(BindingError, match=r"(?i)duplicate"):
        parse(map_of_three + key + nonce + nonce)


def test_bytes_after_the_claims_are_refused() -> None:
    with pytest.raises(BindingError, match="1 bytes follow"):
        parse(_claims() + b"\0")


def test_evidence_for_this_key_challenge_connection_and_process_is_accepted() -> None:
    assert _check().instance == _INSTANCE


def test_what_the_verifier_does_not_ask_for_is_not_compared() -> None:
    assert _check(nonce=None, tls_binder=None, instance=None).nonce == _NONCE


def test_claims_that_were_exchanged_are_refused() -> None:
    other = Binding.of_key(_spki(_KEY), nonce=b"m" * 32).claims()
    with pytest.raises(ClaimsMismatchError):
        _check(claims=other)
    with pytest.raises(ClaimsMismatchError):
        _check(attested=bytes(64))


def test_claims_are_compared_as_received_not_as_understood() -> None:
    """The same map in another order is another text, and the hash is of the text."""
    reordered = cbor2.dumps(dict(reversed(cbor2.loads(_claims()).items())))
    assert parse(reordered) == parse(_claims())
    with pytest.raises(ClaimsMismatchError):
        _check(claims=reordered)


def test_evidence_about_another_key_is_refused() -> None:
    with pytest.raises(OtherKeyError, match="copied or relayed"):
        _check(public_key=_spki(pki.new_key()))


@pytest.mark.parametrize("nonce", [b"m" * 32, _NONCE[:-1], b""])
def test_a_stale_nonce_is_refused(nonce: bytes) -> None:
    with pytest.raises(StaleNonceError, match="new challenge"):
        _check(nonce=nonce)


def test_another_connections_binder_is_refused() -> None:
    with pytest.raises(WrongBinderError, match="somebody may be in between"):
        _check(tls_binder=b"c" * 32)


def test_evidence_about_another_process_is_refused() -> None:
    with pytest.raises(OtherInstanceError, match="connect again"):
        _check(instance="f" * 16)


def test_evidence_without_what_the_verifier_asks_for_is_refused() -> None:
    bare = Binding.of_key(_spki(_KEY)).claims()
    for wanted, error in (
        ({"nonce": _NONCE}, StaleNonceError),
        ({"tls_binder": _BINDER}, WrongBinderError),
        ({"instance": _INSTANCE}, OtherInstanceError),
    ):
        asked: dict[str, object] = {"nonce": None, "tls_binder": None, "instance": None, **wanted}
        with pytest.raises(error):
            _check(claims=bare, attested=report_data(bare), **asked)  # type: ignore[arg-type]  # by name


def _attached(made: Scene) -> tuple[Evidence, bytes]:
    claims = _claims()
    return Evidence(DCAP_V3, made.platform.quote(PROCESS, report_data(claims))), claims


def test_evidence_travels_in_a_certificate_and_is_about_its_key() -> None:
    made = scene()
    evidence, claims = _attached(made)
    found = extension.of_certificate(_certificate(_KEY, extension.made(evidence, claims)))
    assert (found.evidence, found.claims) == (evidence, claims)
    assert found.public_key == _spki(_KEY)
    verified = verify(found.evidence, made.collateral, made.root, NOW.timestamp())
    check(
        found.claims,
        verified.report_data,
        public_key=found.public_key,
        nonce=_NONCE,
        tls_binder=_BINDER,
        instance=_INSTANCE,
    )


def test_evidence_moved_into_another_keys_certificate_is_refused() -> None:
    made = scene()
    thief = pki.new_key()
    stolen = _certificate(thief, extension.made(*_attached(made)))
    found = extension.of_certificate(stolen)
    verified = verify(found.evidence, made.collateral, made.root, NOW.timestamp())
    with pytest.raises(OtherKeyError):
        _check(claims=found.claims, attested=verified.report_data, public_key=found.public_key)
    own = Binding.of_key(_spki(thief), nonce=_NONCE, tls_binder=_BINDER, instance=_INSTANCE)
    with pytest.raises(ClaimsMismatchError):
        _check(claims=own.claims(), attested=verified.report_data, public_key=found.public_key)


def test_the_extension_is_not_critical() -> None:
    """OpenSSL ends a handshake whose certificate has a critical extension that it does not know."""
    evidence, claims = _attached(scene())
    authority = pki.Authority.create("test", dt.timedelta(days=1))
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(authority.certificate.subject)
        .public_key(_KEY.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW)
    )
    made = extension.add_to(builder, evidence, claims).sign(_KEY, hashes.SHA256())
    found = made.extensions.get_extension_for_oid(extension.OID)
    assert found.critical is False
    assert found.oid.dotted_string == "2.23.133.5.4.9"


def test_the_extension_is_a_tagged_pair() -> None:
    evidence, claims = _attached(scene())
    item = cbor2.loads(extension.made(evidence, claims).value)
    assert isinstance(item, cbor2.CBORTag)
    assert (item.tag, list(item.value)) == (60000, [evidence.data, claims])


def test_a_certificate_without_evidence_says_so() -> None:
    with pytest.raises(NoEvidenceError, match="not attested"):
        extension.of_certificate(_certificate(_KEY, None))


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"nonsense",
        cbor2.dumps(cbor2.CBORTag(60001, [b"quote", b"claims"])),
        cbor2.dumps(cbor2.CBORTag(60000, [b"quote"])),
        cbor2.dumps(cbor2.CBORTag(60000, ["quote", b"claims"])),
        cbor2.dumps([b"quote", b"claims"]),
        cbor2.dumps(cbor2.CBORTag(60000, [b"quote", b"claims"])) + b"\0",
    ],
)
def test_an_extension_of_another_shape_is_refused(value: bytes) -> None:
    damaged = x509.UnrecognizedExtension(extension.OID, value)
    with pytest.raises(BadEvidenceError, match="the certificate's evidence"):
        extension.of_certificate(_certificate(_KEY, damaged))


@given(st.binary(max_size=300))
def test_what_is_no_certificate_is_refused_and_nothing_else_is_raised(der: bytes) -> None:
    with pytest.raises(BadEvidenceError, match="cannot be read"):
        extension.of_certificate(der)
