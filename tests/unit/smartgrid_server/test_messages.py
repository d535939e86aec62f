"""What the API's messages accept, and that their secrets do not show."""

import msgspec
import pytest

from smartgrid_server.messages import DataTag, LoginReply, LoginRequest, LongWriteRequest
from standby.ids import BootId, Generation
from tests.support.smartgrid import KEY


def test_key_and_token_do_not_show_in_a_repr() -> None:
    reply = LoginReply(
        token="t0ken", expires_in=1.0, boot_id=BootId("0" * 16), generation=Generation(1)
    )
    assert KEY not in repr(LoginRequest(key=KEY))
    assert "t0ken" not in f"{reply} {reply!r}"


@pytest.mark.parametrize(
    "text", ['{"key": "0123"}', f'{{"key": "{KEY}\\n"}}', f'{{"kee": "{KEY}"}}']
)
def test_an_error_about_a_key_does_not_quote_it(text: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(text, type=LoginRequest)
    assert KEY[:16] not in str(caught.value)
    assert "0123" not in str(caught.value)


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999", "1e400", "1" * 400, "1e13"])
def test_no_number_that_is_not_finite_gets_in(number: str) -> None:
    text = f'{{"batch_id": "b", "rows": [[1, 1, 1, {number}]]}}'
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(text, type=LongWriteRequest)


def test_a_tag_goes_to_the_client_and_back_unchanged() -> None:
    tag = DataTag(generation=Generation(7), tag=bytes(range(32)))
    shown = msgspec.json.encode({"key": KEY, "freshness": tag})
    assert b'"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="' in shown
    login = msgspec.json.decode(shown, type=LoginRequest)
    assert (login.freshness, login.accept_older) == (tag, False)


@pytest.mark.parametrize(
    "text",
    [
        '{"generation": 7, "tag": "AAEC"}',
        '{"generation": 0, "tag": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}',
        '{"generation": 7, "tag": "not Base64, but as long as if it were one....."}',
        '{"generation": 7}',
    ],
)
def test_what_is_no_tag_is_refused(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(f'{{"key": "{KEY}", "freshness": {text}}}', type=LoginRequest)
