"""Certificates name exactly one known identity, or nobody."""

import pytest

from standby.identity import Identity, Role, UnknownIdentityError, of_certificate, parse_uri
from standby.ids import InvalidIdError, parse_uid


def test_an_identity_survives_the_way_through_its_uri() -> None:
    identity = Identity(Role.METER, parse_uid("alice"))
    assert parse_uri(identity.uri) == identity


@pytest.mark.parametrize(
    "uri",
    [
        "https://standby.internal/customer/alice",
        "spiffe://standby.internal/customer",
        "spiffe://standby.internal/customer/alice/more",
        "spiffe://standby.internal/king/alice",
        "spiffe://standby.internal/customer/al_ice",
        "spiffe:///customer/alice",
    ],
)
def test_a_malformed_uri_names_nobody(uri: str) -> None:
    with pytest.raises(UnknownIdentityError):
        parse_uri(uri)


@pytest.mark.parametrize(
    "names",
    [
        (),
        (("DNS", "alice"),),
        (
            ("URI", "spiffe://standby.internal/customer/alice"),
            ("URI", "spiffe://standby.internal/customer/bob"),
        ),
    ],
)
def test_a_certificate_without_exactly_one_identity_names_nobody(names: tuple[object, ...]) -> None:
    with pytest.raises(UnknownIdentityError):
        of_certificate({"subjectAltName": names})


@pytest.mark.parametrize("text", ["", "a_b", "-a", "a-", "a.b", "a" * 64, "alice\n", "ä"])
def test_what_is_not_a_dns_label_is_no_user_id(text: str) -> None:
    with pytest.raises(InvalidIdError):
        parse_uid(text)


def test_user_ids_compare_without_case() -> None:
    assert parse_uid("Alice") == "alice"
