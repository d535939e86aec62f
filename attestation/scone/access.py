"""The shape of a session's `access_policy`: who may read, change and extend it.

CAS keeps to keys, not certificates: a certificate stands for its key, so nobody is locked out when it expires.
`ANY` and `NONE` stand alone, because beside another entry one of the two would be without meaning. Governance
(`require-all`, `require-at-least-N`) is for changes, not for reading.
"""

import re
from collections.abc import Iterator
from typing import Final

from attestation.findings import Finding
from attestation.scone import placeholders, vocabulary
from attestation.scone.shapes import Check, by_type, matching, record, shown

_ALONE: Final = frozenset({"ANY", "NONE"})
_REQUIRED: Final = re.compile(r"require-(all|at-least-([1-9][0-9]{0,3}))")

_who: Final = matching(
    "|".join(
        (
            "CREATOR|ANY|NONE",
            vocabulary.CERTIFICATE,
            vocabulary.KEY_HASH,
            placeholders.WHOLE.pattern,
        )
    ),
    "bad_access",
    "CREATOR, ANY, NONE, a certificate in PEM, the base58 hash of a key, or a placeholder",
)
_signer: Final = record(
    {"signer": matching(vocabulary.PUBLIC_KEY, "bad_access", "a public key in PEM")}, ["signer"]
)


def _one(path: str, value: object, *, governed: bool) -> Iterator[Finding]:
    key = next(iter(value)) if isinstance(value, dict) and len(value) == 1 else None
    required = _REQUIRED.fullmatch(key) if isinstance(key, str) else None
    if not isinstance(value, dict):
        yield from _who(path, value)
    elif required is None:
        yield from _signer(path, value)
    elif not governed:
        yield Finding(path, "governed_reading", f"{key} is for update and create_sessions only")
    else:
        yield from _board(f"{path}.{key}", value[key], int(required[2] or 1))


def _board(path: str, value: object, least: int) -> Iterator[Finding]:
    if not isinstance(value, list) or len(value) < least:
        yield Finding(path, "bad_access", f"expected at least {least} who decide")
        return
    for index, each in enumerate(value):
        yield from _one(f"{path}[{index}]", each, governed=False)


def _list(*, governed: bool) -> Check:
    def check(path: str, value: object) -> Iterator[Finding]:
        if not isinstance(value, list) or not value:
            yield Finding(path, "bad_access", f"expected a list of who may, not {shown(value)}")
            return
        if len(value) > 1 and any(each in _ALONE for each in value if isinstance(each, str)):
            yield Finding(path, "not_alone", "ANY and NONE stand alone")
        for index, each in enumerate(value):
            yield from _one(f"{path}[{index}]", each, governed=governed)

    return check


def _rule(*, governed: bool) -> Check:
    def single(path: str, value: object) -> Iterator[Finding]:
        yield from _one(path, value, governed=governed)

    cases: dict[type, Check] = {str: single, dict: single, list: _list(governed=governed)}
    return by_type(cases, "a list of who may")


policy: Final = record(
    {
        "read": _rule(governed=False),
        "update": _rule(governed=True),
        "create_sessions": _rule(governed=True),
        "list_sessions": _rule(governed=False),
    }
)
