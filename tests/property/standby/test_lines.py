"""The line protocol: what can be said is understood, what cannot be said is refused."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standby.ids import LARGEST, Generation
from standby.lines import Denied, LineError, Volume, format_answer, parse_answer

words = st.text(string.ascii_letters + string.digits + "/._-", min_size=1)
phrases = st.lists(words, min_size=1).map(" ".join)


@given(words, st.integers(min_value=1, max_value=LARGEST))
def test_a_volume_survives_the_way_through_a_line(path: str, generation: int) -> None:
    answer = Volume(path, Generation(generation))
    assert parse_answer(format_answer(answer) + "\n") == answer


@given(words, phrases)
def test_a_denial_survives_the_way_through_a_line(code: str, text: str) -> None:
    assert parse_answer(format_answer(Denied(code, text)) + "\n") == Denied(code, text)


@given(st.text())
def test_any_other_line_is_refused_or_understood_but_never_crashes(line: str) -> None:
    try:
        parse_answer(line)
    except LineError:
        return


@pytest.mark.parametrize("path", ["/a b", "/a\nVOLUME /b 2", "/a\r", ""])
def test_a_path_that_cannot_be_told_apart_is_refused(path: str) -> None:
    if path:
        with pytest.raises(LineError):
            format_answer(Volume(path, Generation(1)))
