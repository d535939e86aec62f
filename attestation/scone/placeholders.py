"""`$$SCONE::name[:format][|escape(json)]$$`: what CAS puts in place of it must exist and have that format."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from attestation.findings import Finding
from attestation.scone import vocabulary
from attestation.scone.references import entries

_OPENING: Final = "$$SCONE"
WHOLE: Final = re.compile(
    r"\$\$SCONE::(?:(?P<self>self::[a-z_]+)|(?P<name>[A-Za-z0-9_.~-]+)(?P<format>(?::[a-z0-9-]+)*))"
    r"(?P<filter>\|escape\(json\))?\$\$"
)
_KIND_OF_UNKNOWN: Final = ""


def check(session: Mapping[str, object]) -> Iterator[Finding]:
    """Findings about every placeholder, wherever it stands."""
    kinds = {
        str(each.get("name")): str(each.get("kind", _KIND_OF_UNKNOWN))
        for _, each in entries(session, "secrets")
    }
    for path, text in _texts("", session):
        found = list(WHOLE.finditer(text))
        if text.count(_OPENING) != len(found):
            yield Finding(
                path, "bad_placeholder", f"a placeholder in {text[:60]!r} is not written right"
            )
        for each in found:
            yield from _one(path, each, kinds)


def _one(path: str, found: re.Match[str], kinds: Mapping[str, str]) -> Iterator[Finding]:
    if found["self"] is not None:
        yield from _self(path, found["self"])
        return
    name, form = found["name"], found["format"].removeprefix(":")
    if name not in kinds:
        yield Finding(path, "no_such_secret", f"placeholder $$SCONE::{name}$$ has no secret")
    elif form not in vocabulary.FORMATS.get(kinds[name], {form}):
        yield Finding(
            path,
            "bad_format",
            f"placeholder {name}:{form}: the format is not valid for kind {kinds[name]}",
        )


def _self(path: str, name: str) -> Iterator[Finding]:
    if name != vocabulary.SELF_PLACEHOLDER:
        yield Finding(path, "no_such_secret", f"placeholder $$SCONE::{name}$$ is unknown")
    elif not re.fullmatch(r"secrets\[\d+\]\.payload.*", path):
        yield Finding(path, "bad_format", f"placeholder $$SCONE::{name}$$ is for a jwt's payload")


def _texts(path: str, value: object) -> Iterator[tuple[str, str]]:
    """Every text in the data, with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _texts(f"{path}.{key}" if path else str(key), each)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _texts(f"{path}[{index}]", each)
