r"""YAML and TOML texts that are the same for the same data, byte for byte.

Every text in YAML is quoted: a hash made of digits and one `e` is a number for a YAML reader, and `NO` is false for an
older one. One way of quoting serves both languages: JSON's, with whatever is not printable ASCII as `\UXXXXXXXX`,
which both know; so a line separator or a byte-order mark cannot end a line or vanish.

A writer of ours, 50 lines, because neither PyYAML nor tomli-w is a dependency and reading is not needed: the data is
ours, and mappings, lists, text, whole numbers and booleans are all there is. PyYAML is in development environments,
brought by schemathesis; tests read every text back with it. Rejected: JSON, which is YAML too, because people review
these texts, and several manifests in one file need YAML's marks between documents.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

Data = Mapping[str, "Value"]
Value = str | int | bool | Sequence["Value"] | Data

_BARE_YAML: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_RESERVED: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
"""Words that some version of YAML takes for something else than text."""
_LONGEST_KEY: Final = 1024
"""YAML 1.2, section 7.4: an implicit key is at most this long."""
_BARE_TOML: Final = re.compile(r"[A-Za-z0-9_-]+")


def quoted(text: str) -> str:
    """Text in double quotes, as YAML, TOML and (for printable ASCII) JSON read it."""
    plain = json.dumps(text, ensure_ascii=False)
    return re.sub(r"[^\x20-\x7e]", lambda found: f"\\U{ord(found[0]):08x}", plain)


def yaml_text(*documents: Data) -> str:
    """The documents in block style, keys in the order given.

    Raises:
        ValueError: a key is longer than a YAML reader takes.
    """
    return "---\n".join("".join(f"{line}\n" for line in _mapping(each)) for each in documents)


def _scalar(value: str | int) -> str:  # bool is an int
    return quoted(value) if isinstance(value, str) else str(value).lower()


def _key(text: str) -> str:
    bare = _BARE_YAML.fullmatch(text) and text.lower() not in _RESERVED
    written = text if bare else quoted(text)
    if len(written) > _LONGEST_KEY:
        raise ValueError(f"a key of {len(written)} characters; YAML takes {_LONGEST_KEY}")
    return written


def _mapping(data: Data) -> Iterator[str]:
    for key, value in data.items():
        if isinstance(value, str | int):
            yield f"{_key(key)}: {_scalar(value)}"
        elif not value:
            yield f"{_key(key)}: {_empty(value)}"
        else:
            yield f"{_key(key)}:"
            yield from (f"  {line}" for line in _block(value))


def _block(value: Sequence[Value] | Data) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from _mapping(value)
        return
    for item in value:
        yield from _item(item)


def _item(item: Value) -> Iterator[str]:
    if isinstance(item, str | int):
        yield f"- {_scalar(item)}"
    elif not item:
        yield f"- {_empty(item)}"
    else:
        mark = "- "
        for line in _block(item):
            yield f"{mark}{line}"
            mark = "  "


def _empty(value: Sequence[Value] | Data) -> str:
    return "{}" if isinstance(value, Mapping) else "[]"


def toml_text(data: Data) -> str:
    """One line for each value under its dotted key; an array has a line for each entry."""
    return "".join(f"{line}\n" for line in _assignments("", data))


def _assignments(prefix: str, data: Data) -> Iterator[str]:
    for key, value in data.items():
        dotted = f"{prefix}{_toml_key(key)}"
        if isinstance(value, Mapping):
            yield from _assignments(f"{dotted}.", value)
        elif isinstance(value, str | int) or not value:
            yield f"{dotted} = {_inline(value)}"
        else:
            yield f"{dotted} = ["
            yield from (f"  {_inline(item)}," for item in value)
            yield "]"


def _inline(value: Value) -> str:
    if isinstance(value, str | int):
        return _scalar(value)
    if isinstance(value, Mapping):
        pairs = (f"{_toml_key(key)} = {_inline(each)}" for key, each in value.items())
        return f"{{ {', '.join(pairs)} }}"
    return f"[{', '.join(_inline(each) for each in value)}]"


def _toml_key(key: str) -> str:
    return key if _BARE_TOML.fullmatch(key) else quoted(key)
