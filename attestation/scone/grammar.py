"""Whether a SCONE session is written in the session language 0.3.x: a checker of ours.

`check` takes the parsed session and gives every finding, with its path. Its parts are: the shape of each section
(here), what refers to what (`references`), placeholders (`placeholders`), and what is allowed but weak (`lint`).

The only source is the published documentation of SCONE 7.0; no CAS was at hand. So no finding means that the session
agrees with our reading of those pages, not that a CAS takes it, and a CAS may know keys that they do not mention.
Not checked, because not published: session hashes, key hashes beyond their alphabet, the content of secrets of the
kinds `aad-token`, `config-fragment` and `pgp-key`, imports and exports.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from attestation.findings import Finding
from attestation.scone import access, lint, placeholders, references, vocabulary
from attestation.scone.shapes import (
    Check,
    anything,
    by_type,
    flag,
    hexadecimal,
    list_of,
    map_of,
    matching,
    one_of,
    record,
    shown,
    text,
    whole,
)

_SVN: Final = whole(0, 0xFFFF)
_NAME: Final = matching(r"[A-Za-z0-9_.~-]{1,128}", "bad_name", "a name")
_PATH: Final = matching(r"/.*", "not_absolute", "an absolute path")
_LINES: Final = by_type({str: text, list: list_of(text)}, "text or a list of texts")
_DURATION: Final = matching(
    r"[0-9]+ ?[A-Za-z]+", "bad_duration", "a number and a unit, as in 30d or 90 days"
)
_PLACEHOLDER: Final = placeholders.WHOLE.pattern


def _or_placeholder(pattern: str, code: str, expected: str) -> Check:
    return matching(f"{pattern}|{_PLACEHOLDER}", code, f"{expected}, or a placeholder")


_MRENCLAVE: Final = _or_placeholder("[0-9a-fA-F]{64}", "bad_hex", "32 bytes as hex digits")

_SIGNER: Final = record(
    {
        "mrsigner": hexadecimal(32),
        "isvprodid": _SVN,
        "isvsvn": _SVN,
        "isvsvn_min": _SVN,
        "isvsvn_max": _SVN,
    },
    required=["mrsigner", "isvprodid"],
)
_VARIANT: Final = record(
    {
        "mrenclave": by_type(
            {str: _MRENCLAVE, list: list_of(_MRENCLAVE, least=1)}, "hex digits in quotes, or a list"
        ),
        "signer": _SIGNER,
    }
)
_WHOLE_VARIANT: Final = matching(_PLACEHOLDER, "bad_variant", "a mapping or a placeholder")
_EACH_VARIANT: Final = by_type({dict: _VARIANT, str: _WHOLE_VARIANT}, "a mapping")
_SERVICE: Final = record(
    {
        "name": _NAME,
        "image_name": text,
        "command": _LINES,
        "environment": map_of(by_type({str: text, int: anything, bool: anything}, "a scalar")),
        "pwd": _PATH,
        "fspf_path": text,
        "fspf_key": _or_placeholder("[0-9a-fA-F]{64}", "bad_hex", "32 bytes as hex digits"),
        "fspf_tag": hexadecimal(16),
        "fspf_update_policy": one_of(vocabulary.FILESYSTEM_POLICIES),
        "platforms": list_of(matching(vocabulary.PLATFORM, "bad_platform", "INTEL_QE_ID:<32 hex>")),
        "attestation": by_type(
            {dict: _VARIANT, list: list_of(_EACH_VARIANT, least=1)}, "a variant or a list of them"
        ),
        "mrenclaves": list_of(hexadecimal(32), least=1),
    },
    required=["name"],
)

_COMMON: Final[Mapping[str, Check]] = {
    "name": _NAME,
    "kind": one_of(vocabulary.KINDS),
    "import": anything,
    "import_akv": anything,
    "export": anything,
    "export_public": anything,
}
_X509: Final[Mapping[str, Check]] = {
    "private_key": text,
    "issuer": text,
    "common_name": text,
    "endpoint": text,
    "san": anything,
    "dns": _LINES,
    "valid_for": _DURATION,
    "value": text,
}
_HEX: Final = matching(r"([0-9a-fA-F]{2})*", "bad_hex", "hex digits")
_BY_KIND: Final[Mapping[str, Mapping[str, Check]]] = {
    "ascii": {"size": whole(1, 1 << 20), "value": text},
    "binary": {"size": whole(1, 1 << 20), "value": _HEX},
    "private-key": {"key_type": one_of(vocabulary.KEY_TYPES), "migrate": flag, "value": text},
    "public-key": {"private_key": text},
    "x509": _X509,
    "x509-ca": _X509,
    "jwt": {
        "signer": text,
        "alg": one_of({"ES384"}),
        "validity": record({"for": _DURATION}, required=["for"]),
        "payload": anything,
    },
}
_SECRETS: Final = {
    kind: record({**_COMMON, **keys}, required=["name", "kind"]) for kind, keys in _BY_KIND.items()
}

_IMAGE: Final = record(
    {
        "name": _NAME,
        "volumes": list_of(
            record(
                {
                    "name": _NAME,
                    "path": _PATH,
                    "update_policy": one_of(vocabulary.UPDATE_POLICIES),
                },
                required=["name", "path"],
            )
        ),
        "injection_files": list_of(
            by_type(
                {
                    str: _PATH,
                    dict: record(
                        {"path": _PATH, "content": text, "permission": anything}, required=["path"]
                    ),
                },
                "a path or a mapping",
            )
        ),
        "provide_secrets": list_of(anything),
    },
    required=["name"],
)
_VOLUME: Final = record(
    {
        "name": _NAME,
        "files": one_of({"authenticated-only"}),
        "import": anything,
        "export": anything,
        "update_policy": one_of(vocabulary.UPDATE_POLICIES),
        "volume_alias": text,
    },
    required=["name"],
)
_SECURITY: Final = record(
    {
        "attestation": record(
            {
                "mode": one_of(vocabulary.MODES),
                "tolerate": list_of(one_of(vocabulary.TOLERATIONS)),
                "ignore_advisories": by_type(
                    {
                        str: one_of({"*"}),
                        list: list_of(
                            matching(vocabulary.ADVISORY, "bad_advisory", "INTEL-SA-<5 digits>")
                        ),
                    },
                    'a list or "*"',
                ),
                "must_be_sgx_local": flag,
                "one_time_password_shared_secret": text,
                "url": text,
                "certificates": anything,
                "trusted_scone_qe_pubkeys": anything,
            }
        ),
        "singleton_enclaves": flag,
        "service_access_token": text,
    }
)


def _secret(path: str, value: object) -> Iterator[Finding]:
    kind = value.get("kind") if isinstance(value, dict) else None
    if isinstance(kind, str) and kind in _SECRETS:
        yield from _SECRETS[kind](path, value)
    elif isinstance(value, dict):  # a kind without a description, or none
        imported = "import" in value or "import_akv" in value
        head = {key: each for key, each in value.items() if key in _COMMON}
        yield from record(_COMMON, required=["name"] if imported else ["name", "kind"])(path, head)
    else:
        yield Finding(path, "not_a_mapping", f"expected a mapping, not {shown(value)}")


_SESSION: Final = record(
    {
        "name": matching(vocabulary.SESSION_NAME, "bad_session_name", "a session name"),
        "version": text,
        "predecessor": hexadecimal(32),
        "namespace_hash": hexadecimal(32),
        "salt": hexadecimal(16),
        "services": list_of(_SERVICE),
        "secrets": list_of(_secret),
        "images": list_of(_IMAGE),
        "volumes": list_of(_VOLUME),
        "access_policy": access.policy,
        "security": _SECURITY,
        "creator": anything,
        "secret_config": anything,
    },
    required=["name", "version"],
)


def check(session: object) -> list[Finding]:
    """Everything that is wrong or doubtful in a parsed session; empty: nothing was found."""
    findings = list(_SESSION("", session))
    if isinstance(session, dict):
        findings += references.check(session)
        findings += placeholders.check(session)
        findings += lint.check(session)
    return findings
