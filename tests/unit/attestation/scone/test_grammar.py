"""Every mistake is made in a session that is right, and must be found there and nowhere else."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation.findings import Finding, Severity
from attestation.scone import grammar, session
from tests.unit.attestation.scone import pools

Session = dict[str, Any]
Change = Callable[[Session], object]
_BINARY: Session = {"name": "db_key", "kind": "binary", "size": 32}
_JWT: Session = {
    "name": "proof",
    "kind": "jwt",
    "signer": "issuer_key",
    "alg": "ES384",
    "validity": {"for": "1h"},
    "payload": {"software": "$$SCONE::self::software_identity$$"},
}


def _right() -> Session:
    made: Session = msgspec.yaml.decode(session.text(pools.full()))
    made["secrets"] += copy.deepcopy([_BINARY, _JWT])
    return made


def _found(change: Change) -> list[Finding]:
    changed = _right()
    change(changed)
    return grammar.check(changed)


def _set(*keys: str | int, to: object) -> Change:
    def change(made: Session) -> None:
        place: Any = made
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = to

    return change


def _drop(*keys: str | int) -> Change:
    def change(made: Session) -> None:
        place: Any = made
        for key in keys[:-1]:
            place = place[key]
        del place[keys[-1]]

    return change


def _env(name: str, value: object) -> Change:
    return _set("services", 0, "environment", name, to=value)


def _attestation(key: str, value: object) -> Change:
    return _set("security", "attestation", key, to=value)


def _access(key: str, value: object) -> Change:
    return _set("access_policy", key, to=value)


_SIGNER = ("services", 0, "attestation", 0, "signer")
_ERRORS: list[tuple[Change, str, str]] = [
    # shape
    (_set("extra", to=1), "extra", "unknown_key"),
    (_set("services", 0, "persistency", to=1), "services[0].persistency", "unknown_key"),
    (_set("name", to="acme/pool 1"), "name", "bad_session_name"),
    (_set("name", to="\\x1"), "name", "bad_session_name"),
    (_drop("name"), "name", "missing_key"),
    (_drop("version"), "version", "missing_key"),
    (_set("version", to=0.3), "version", "not_text"),
    (_set("predecessor", to="ab"), "predecessor", "bad_hex"),
    (_set("salt", to="zz" * 16), "salt", "bad_hex"),
    (_set("services", to={}), "services", "not_a_list"),
    (_set("security", "singleton_enclaves", to="yes"), "security.singleton_enclaves", "not_bool"),
    (
        _set("services", 0, "attestation", 0, "mrenclave", to="mrEnclave3"),
        "services[0].attestation[0].mrenclave",
        "bad_hex",
    ),
    (
        _set("services", 0, "attestation", 0, "mrenclave", to=int("1" * 64)),
        "services[0].attestation[0].mrenclave",
        "wrong_type",
    ),
    (
        _set("services", 0, "attestation", 0, "mrenclave", to=["ab" * 32, "ab"]),
        "services[0].attestation[0].mrenclave[1]",
        "bad_hex",
    ),
    (
        _set("services", 0, "attestation", to={"mrenclave": "ab"}),
        "services[0].attestation.mrenclave",
        "bad_hex",
    ),
    (_set("services", 0, "attestation", to="all"), "services[0].attestation", "wrong_type"),
    (_set("services", 0, "attestation", to=["x"]), "services[0].attestation[0]", "bad_variant"),
    (_drop(*_SIGNER, "isvprodid"), "services[0].attestation[0].signer.isvprodid", "missing_key"),
    (_set("services", 0, "fspf_tag", to="07"), "services[0].fspf_tag", "bad_hex"),
    (_set("services", 0, "fspf_key", to="07"), "services[0].fspf_key", "bad_hex"),
    (
        _set("services", 0, "fspf_update_policy", to="rollback_protected"),
        "services[0].fspf_update_policy",
        "unknown_value",
    ),
    (
        _set(*_SIGNER, "isvprodid", to=0x10000),
        "services[0].attestation[0].signer.isvprodid",
        "not_a_number",
    ),
    (_set("services", 0, "platforms", to=["SCONE_QE"]), "services[0].platforms[0]", "bad_platform"),
    (_set("services", 0, "command", to=3), "services[0].command", "wrong_type"),
    (_set("services", 0, "environment", to=["A=1"]), "services[0].environment", "not_a_mapping"),
    (_attestation("tolerate", ["hyper"]), "security.attestation.tolerate[0]", "unknown_value"),
    (_attestation("mode", "software"), "security.attestation.mode", "unknown_value"),
    (
        _attestation("ignore_advisories", ["SA-1"]),
        "security.attestation.ignore_advisories[0]",
        "bad_advisory",
    ),
    (_set("secrets", 0, "key_type", to="P-512"), "secrets[0].key_type", "unknown_value"),
    (_set("secrets", 0, "migrate", to="yes"), "secrets[0].migrate", "not_bool"),
    (_set("secrets", 0, "kind", to="key"), "secrets[0].kind", "unknown_value"),
    (_set("secrets", 3, "valid_for", to="soon"), "secrets[3].valid_for", "bad_duration"),
    (_set("secrets", 4, "value", to="xyz"), "secrets[4].value", "bad_hex"),
    (_set("secrets", 4, "migrate", to=True), "secrets[4].migrate", "unknown_key"),
    (_set("secrets", 5, "alg", to="HS256"), "secrets[5].alg", "unknown_value"),
    (_set("secrets", 4, to="db_key"), "secrets[4]", "not_a_mapping"),
    (_drop("secrets", 4, "kind"), "secrets[4].kind", "missing_key"),
    (
        _set("images", 0, "volumes", 0, "update_policy", to="never"),
        "images[0].volumes[0].update_policy",
        "unknown_value",
    ),
    (
        _set("images", 0, "injection_files", 0, "path", to="a.pem"),
        "images[0].injection_files[0].path",
        "not_absolute",
    ),
    (_set("volumes", 0, "files", to="all"), "volumes[0].files", "unknown_value"),
    # references
    (_set("secrets", 3, "issuer", to="nope"), "secrets[3].issuer", "not_defined"),
    (_set("secrets", 3, "issuer", to="issuer_key"), "secrets[3].issuer", "wrong_kind"),
    (_set("secrets", 3, "private_key", to="nope"), "secrets[3].private_key", "not_defined"),
    (_set("secrets", 3, "private_key", to="db_key"), "secrets[3].private_key", "wrong_kind"),
    (_drop("secrets", 3, "private_key"), "secrets[3].private_key", "missing_key"),
    (_drop("secrets", 4, "size"), "secrets[4].size", "missing_key"),
    (_set("secrets", 5, "signer", to="db_key"), "secrets[5].signer", "wrong_kind"),
    (_set("secrets", 5, "name", to="db_key"), "secrets[5].name", "twice"),
    (_set("services", 0, "image_name", to="nope"), "services[0].image_name", "not_defined"),
    (
        _set("images", 0, "volumes", 0, "name", to="nope"),
        "images[0].volumes[0].name",
        "not_defined",
    ),
    (
        _set("images", 0, "provide_secrets", to=["nope"]),
        "images[0].provide_secrets[0]",
        "not_defined",
    ),
    (
        _set("images", 0, "injection_files", 1, "path", to="/run/identity/issuer.pem"),
        "images[0].injection_files[1]",
        "twice",
    ),
    (_set("namespace_hash", to="ab" * 32), "namespace_hash", "exclusive"),
    (_set(*_SIGNER, "isvsvn", to=3), "services[0].attestation[0].signer", "exclusive"),
    (_set(*_SIGNER, "isvsvn_max", to=2), "services[0].attestation[0].signer", "empty_range"),
    (_set("services", 0, "attestation", 0, to={}), "services[0].attestation[0]", "empty_variant"),
    (
        _set("services", 0, "attestation", to=[{}, {"mrenclave": "ab" * 32}]),
        "services[0].attestation[0]",
        "empty_variant",
    ),
    (_drop("services", 0, "attestation"), "services[0].attestation", "missing_key"),
    # placeholders
    (_env("A", "$$SCONE::ghost$$"), "services[0].environment.A", "no_such_secret"),
    (_env("A", "$$SCONE::db_key:pem$$"), "services[0].environment.A", "bad_format"),
    (_env("A", "$$SCONE::issuer_key:crt$$"), "services[0].environment.A", "bad_format"),
    (_env("A", "$$SCONE::issuer:pem$$"), "services[0].environment.A", "bad_format"),
    (_env("A", "$$SCONE::db_key:hex"), "services[0].environment.A", "bad_placeholder"),
    (_env("A", "$$SCONE:db_key$$"), "services[0].environment.A", "bad_placeholder"),
    (_env("A", "$$SCONE::db_key|upper$$"), "services[0].environment.A", "bad_placeholder"),
    (_env("A", "$$SCONE::self::software_identity$$"), "services[0].environment.A", "bad_format"),
    (_env("A", "$$SCONE::self::name$$"), "services[0].environment.A", "no_such_secret"),
    (
        _set("services", 0, "command", to="/x $$SCONE::ghost$$"),
        "services[0].command",
        "no_such_secret",
    ),
    (
        _set("images", 0, "injection_files", 0, "content", to="$$SCONE::ghost$$"),
        "images[0].injection_files[0].content",
        "no_such_secret",
    ),
    # access
    (_access("update", ["CREATOR", "NONE"]), "access_policy.update", "not_alone"),
    (_access("update", ["somebody"]), "access_policy.update[0]", "bad_access"),
    (_access("update", []), "access_policy.update", "bad_access"),
    (_access("update", 7), "access_policy.update", "wrong_type"),
    (_access("write", ["CREATOR"]), "access_policy.write", "unknown_key"),
    (_access("update", ["$$SCONE::ghost$$"]), "access_policy.update[0]", "no_such_secret"),
    (
        _access("read", [{"require-all": ["CREATOR"]}]),
        "access_policy.read[0]",
        "governed_reading",
    ),
    (
        _access("update", [{"require-at-least-2": ["CREATOR"]}]),
        "access_policy.update[0].require-at-least-2",
        "bad_access",
    ),
    (_access("update", [{"signer": "a key"}]), "access_policy.update[0].signer", "bad_access"),
    # what is incompatible
    (
        _attestation("ignore_advisories", "all"),
        "security.attestation.ignore_advisories",
        "unknown_value",
    ),
    (_env("SCONE_FORK", "1"), "services[0].environment.SCONE_FORK", "fork_and_singleton"),
]
_WARNINGS: list[tuple[Change, str, str]] = [
    (_env("SCONE_HEAP", "1G"), "services[0].environment.SCONE_HEAP", "no_effect"),
    (_env("SCONE_CAS_ADDR", "x"), "services[0].environment.SCONE_CAS_ADDR", "no_effect"),
    (
        _env("SCONE_ALLOW_DLOPEN", "2"),
        "services[0].environment.SCONE_ALLOW_DLOPEN",
        "unprotected_libraries",
    ),
    (_attestation("tolerate", ["debug-mode"]), "security.attestation.tolerate[0]", "worthless"),
    (_attestation("tolerate", ["outdated-tcb"]), "security.attestation.tolerate[0]", "worthless"),
    (_attestation("mode", "none"), "security.attestation.mode", "mode_none"),
    (_drop("security", "singleton_enclaves"), "security.singleton_enclaves", "not_singleton"),
    (_access("read", ["ANY"]), "access_policy.read", "anybody"),
    (_access("update", "ANY"), "access_policy.update", "anybody"),
    (_set("services", 0, "mrenclaves", to=["ab" * 32]), "services[0].mrenclaves", "deprecated"),
    (
        _set("images", 0, "volumes", 0, "update_policy", to="no_rollback_protection"),
        "images[0].volumes[0].update_policy",
        "no_rollback_protection",
    ),
    (
        _set("services", 0, "fspf_update_policy", to="no_rollback_protection"),
        "services[0].fspf_update_policy",
        "no_rollback_protection",
    ),
    (_set("creator", to="x"), "creator", "creator_written"),
]
_RIGHT: list[Change] = [
    lambda _: None,
    _set("services", 0, "command", to="/x $$SCONE::db_key:hex$$ $$SCONE::db_key|escape(json)$$"),
    _env("A", "$$SCONE::issuer_key:pkcs8:pem$$"),
    _env("A", "$$SCONE::issuer:crt:der$$"),
    _env("A", "$$SCONE::issuer_key:pkcs8:der$$ $$SCONE::issuer:privatekey:pkcs8:pem$$"),
    _env("A", 1),
    _set("secrets", 3, "valid_for", to="90 days"),
    _set("services", 0, "attestation", to={"mrenclave": "ab" * 32}),
    _set("services", 0, "attestation", 0, "mrenclave", to=["ab" * 32, "$$SCONE::db_key:hex$$"]),
    _set("services", 0, "attestation", to=["$$SCONE::db_key:hex$$"]),
    _set("services", 0, "fspf_key", to="$$SCONE::db_key$$"),
    _set("services", 0, "fspf_update_policy", to="rollback_protected_reinitializable"),
    _set("images", 0, "provide_secrets", to=["db_key"]),
    _set("images", 0, "injection_files", to=["/a"]),
    _set("secrets", 4, to={"name": "db_key", "import": {"session": "other"}}),
    _set("secrets", 4, to={"name": "token", "kind": "aad-token", "whatever": 1}),
    _access("update", [{"require-at-least-1": ["CREATOR", "2" * 44]}]),
    _access("update", [{"require-all": [pools.CERTIFICATE]}]),
    _access("read", "NONE"),
    _access("read", ["$$SCONE::servers_ca:crt$$"]),
    _access("update", [{"signer": pools.CERTIFICATE.replace("CERTIFICATE", "PUBLIC KEY")}]),
]


@pytest.mark.parametrize(
    ("change", "path", "code"), _ERRORS, ids=[f"{p}-{c}" for _, p, c in _ERRORS]
)
def test_an_error_is_found_where_it_is(change: Change, path: str, code: str) -> None:
    found = _found(change)
    assert [(each.path, each.code) for each in found if each.severity is Severity.ERROR] == [
        (path, code)
    ]


@pytest.mark.parametrize(
    ("change", "path", "code"), _WARNINGS, ids=[f"{p}-{c}" for _, p, c in _WARNINGS]
)
def test_what_weakens_is_warned_of(change: Change, path: str, code: str) -> None:
    assert [(each.path, each.code, each.severity) for each in _found(change)] == [
        (path, code, Severity.WARNING)
    ]


@pytest.mark.parametrize("change", _RIGHT)
def test_what_is_right_has_no_findings(change: Change) -> None:
    assert _found(change) == []


def test_any_beside_others_is_an_error_and_warned_of() -> None:
    codes = {each.code for each in _found(_access("read", ["CREATOR", "ANY"]))}
    assert codes == {"not_alone", "anybody"}


def test_all_advisories_can_be_ignored_only_by_a_debug_enclave() -> None:
    def codes(**attestation: Any) -> set[str]:
        return {each.code for each in _found(_set("security", "attestation", to=attestation))}

    assert codes(ignore_advisories="*") == {"needs_debug_mode", "all_advisories_ignored"}
    assert codes(ignore_advisories="*", tolerate=["debug-mode"]) == {
        "worthless",
        "all_advisories_ignored",
    }


@pytest.mark.parametrize("version", ["0.1", "0.2", "0.2.1", "0.3.13", "0.4", "1", "0.3.", "0.3.1x"])
def test_other_versions_are_not_judged_by_these_rules(version: str) -> None:
    assert [each.code for each in _found(_set("version", to=version))] == ["unknown_version"]


def test_what_came_with_the_newest_version_is_refused_before_it() -> None:
    found = _found(_set("version", to="0.3.10"))
    assert [(each.path, each.code) for each in found] == [
        ("secrets[5].kind", "needs_newer_version"),
        ("services[0].platforms", "needs_newer_version"),
    ]


@pytest.mark.parametrize("data", [None, [], "name: x", 3])
def test_what_is_no_mapping_is_one_finding(data: object) -> None:
    assert [each.code for each in grammar.check(data)] == ["not_a_mapping"]


_OTHER: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers() | st.booleans() | st.text(max_size=3) | st.floats(),
    lambda each: (
        st.lists(each, max_size=2) | st.dictionaries(st.text(max_size=3), each, max_size=2)
    ),
    max_leaves=4,
)


@given(st.data())
def test_whatever_stands_in_place_of_anything_the_checker_only_reports(data: st.DataObject) -> None:
    session_: Any = _right()
    place, key = data.draw(st.sampled_from(list(_places(session_))))
    place[key] = data.draw(_OTHER)
    assert all(isinstance(each, Finding) for each in grammar.check(session_))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in the data with each of its keys."""
    for key, each in value.items() if isinstance(value, dict) else enumerate(value):
        yield value, key
        if isinstance(each, dict | list):
            yield from _places(each)
