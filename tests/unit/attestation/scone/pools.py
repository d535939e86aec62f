"""Descriptions of pools for tests: one with everything, the smallest one, and any valid one."""

from pathlib import Path
from typing import Any, Final

import msgspec
from hypothesis import strategies as st

from attestation.scone import pool, vocabulary
from attestation.scone.pool import Pool

GOLDEN: Final = Path(__file__).parent / "golden"
SMALLEST: Final[dict[str, Any]] = {
    "name": "tiny",
    "image": "tiny:1",
    "base": "scone-python:1",
    "command": ["/bin/tiny"],
    "heap": "64M",
    "session": "tiny",
    "mrenclave": ["ab" * 32],
    "cas": {"address": "cas"},
    "las": {"address": "las"},
}
CERTIFICATE: Final = "-----BEGIN CERTIFICATE-----\nbm90IG9uZQ==\n-----END CERTIFICATE-----\n"


def made(**fields: Any) -> Pool:
    """The smallest pool with some fields set; only its types are checked."""
    return msgspec.convert(SMALLEST | fields, Pool)


def full() -> Pool:
    return pool.load(GOLDEN / "pool.toml")


def hexes(size: int) -> st.SearchStrategy[str]:
    return st.text("0123456789abcdef", min_size=2 * size, max_size=2 * size)


_LABELS: Final = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
_VARIABLES: Final = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
_PATHS: Final = st.from_regex(r"(/[A-Za-z0-9_+-]{1,6}){1,3}/?", fullmatch=True)
_LINES: Final = st.text(max_size=12)
_SEGMENTS: Final = st.from_regex(r"[A-Za-z0-9_.~-]{1,12}", fullmatch=True)
_NUMBERS: Final = st.integers(0, 0xFFFF)
_READERS: Final = st.lists(
    st.sampled_from(["CREATOR", CERTIFICATE, "2" * 44]), min_size=1, max_size=3
)
_TOLERATED: Final = sorted(vocabulary.TOLERATIONS - vocabulary.WORTHLESS - {"maa-managed-tcb"})
_ADVISORIES: Final = st.from_regex(r"INTEL-SA-[0-9]{5}", fullmatch=True)


def _optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


def _records(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(fields)


_FIELDS: Final = _optional(
    name=_LABELS,
    command=st.lists(_LINES.filter(bool), max_size=3).map(lambda rest: ["/bin/x", *rest]),
    heap=st.sampled_from(["1K", "64M", "3G"]),
    session=st.lists(_SEGMENTS, min_size=1, max_size=3).map("/".join),
    predecessor=hexes(32),
    mrenclave=st.lists(hexes(32), max_size=3),
    signer=_records(mrsigner=hexes(32), isvprodid=_NUMBERS, isvsvn_min=_NUMBERS),
    platforms=st.lists(hexes(16).map("INTEL_QE_ID:{}".format), max_size=2),
    tolerate=st.lists(st.sampled_from(_TOLERATED), max_size=3),
    ignore_advisories=st.lists(_ADVISORIES, max_size=2),
    environment=_optional(
        set=st.dictionaries(_VARIABLES, _LINES, max_size=3), host=st.lists(_VARIABLES, max_size=3)
    ),
    identity=_records(certificate=_VARIABLES, key=_VARIABLES),
    volumes=st.lists(
        _records(
            name=_LABELS,
            path=_PATHS,
            update_policy=st.sampled_from(["rollback_protected", "ephemeral"]),
        ),
        max_size=2,
    ),
    files=st.dictionaries(_PATHS, st.text(max_size=20), max_size=2),
    access=_optional(read=_READERS, update=_READERS),
    gramine=_optional(
        enclave_size=st.sampled_from(["256M", "1G", "4G"]),
        max_threads=st.integers(4, 64),
        libraries=st.lists(_PATHS, max_size=2),
        trusted=st.lists(_PATHS, max_size=2),
    ),
)


def valid() -> st.SearchStrategy[Pool]:
    """Any pool that `load` would take."""
    pools = _FIELDS.map(lambda fields: made(**fields))
    return pools.filter(lambda each: not list(pool.problems(each)))
