from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation.scone.writing import toml_text, yaml_text

_SCALARS = st.text() | st.integers(-(2**63), 2**63 - 1) | st.booleans()


_KEYS = st.text(max_size=90)  # escaped, the longest that YAML takes


def _nested(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(values, max_size=3) | st.dictionaries(_KEYS, values, max_size=3)


_DATA = st.dictionaries(_KEYS, st.recursive(_SCALARS, _nested, max_leaves=12), max_size=4)
_TOML = st.dictionaries(
    st.text(),
    _SCALARS | st.lists(_SCALARS | st.dictionaries(st.text(), _SCALARS, min_size=1)),
    max_size=4,
)


@given(_DATA)
def test_yaml_is_read_back_as_it_was(data: dict[str, Any]) -> None:
    assert msgspec.yaml.decode(yaml_text(data)) == (data or None)


@given(_TOML)
def test_toml_is_read_back_as_it_was(data: dict[str, Any]) -> None:
    assert msgspec.toml.decode(toml_text(data)) == data


@pytest.mark.parametrize(
    "text", ["1e3", "0" * 63 + "e1", "no", "null", "~", "", "a: b", "\u2028", "\ufeff", "\x7f"]
)
def test_what_yaml_takes_for_something_else_stays_text(text: str) -> None:
    assert msgspec.yaml.decode(yaml_text({"a": text, text: "b"})) == {"a": text, text: "b"}


def test_the_texts_are_plain_ascii() -> None:
    data: dict[str, Any] = {"ä": ["ö\u2028", {"on": "\U0001f600"}]}
    assert yaml_text(data).isascii()
    assert toml_text(data).isascii()


def test_a_key_that_no_reader_would_take_is_refused() -> None:
    with pytest.raises(ValueError, match="YAML takes 1024"):
        yaml_text({"a" * 1025: 1})


def test_documents_are_parted() -> None:
    assert yaml_text({"a": 1}, {"b": True}) == "a: 1\n---\nb: true\n"
