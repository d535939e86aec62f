"""Secrets do not show."""

import pytest

from standby.logs import scrub
from standby.secret import Secret

KEY = "ab" * 32


def test_a_secret_shows_its_value_in_no_form_of_printing() -> None:
    secret = Secret.from_hex(KEY, 32)
    shown = f"{secret} {secret!r} {secret!s} {secret:>20} %s" % secret
    assert "ab" not in shown
    assert "171" not in shown


@pytest.mark.parametrize("text", ["", "ab", KEY + "ab", "zz" * 32, "ab " * 32, KEY[:-1]])
def test_a_key_of_another_form_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(ValueError, match=r"^expected 64 hex digits$"):
        Secret.from_hex(text, 32)


def test_wiping_overwrites_the_buffer_that_was_handed_out() -> None:
    secret = Secret.from_hex(KEY, 32)
    buffer = secret.reveal()
    secret.wipe()
    assert buffer == bytes(32)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("text", f"the key is {KEY}."),
        ("db_key", "anything"),
        ("token", "anything"),
        ("text", "Authorization: Bearer abc.def"),
        ("text", "-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----"),
    ],
)
def test_the_scrubber_blanks_what_looks_like_a_secret(name: str, value: str) -> None:
    written = str(scrub(name, value))
    assert "<secret>" in written
    assert not {KEY, "anything", "abc.def", "MIGH"} & set(written.replace(".", " ").split())


def test_the_scrubber_leaves_ordinary_values_alone() -> None:
    assert scrub("slot", 3) == 3
    assert scrub("text", "wrapper w1 is silent") == "wrapper w1 is silent"
