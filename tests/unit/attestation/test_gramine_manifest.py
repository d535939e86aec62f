import copy
import hashlib
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given

from attestation import gramine_manifest
from attestation.findings import Severity
from attestation.scone.pool import Pool
from tests.unit.attestation.scone import pools
from tests.unit.attestation.scone.pools import made

Change = Callable[[dict[str, Any]], object]


def test_the_manifest_of_the_full_description_is_as_reviewed() -> None:
    golden = (pools.GOLDEN / "server.manifest.template").read_text()
    assert gramine_manifest.manifest(pools.full()) == golden


@given(pools.valid())
def test_any_valid_pool_has_a_manifest_that_the_checker_accepts(pool: Pool) -> None:
    parsed = msgspec.toml.decode(gramine_manifest.manifest(pool))
    assert gramine_manifest.check(parsed) == []
    assert parsed == gramine_manifest.build(pool)


@given(pools.valid())
def test_the_template_has_no_placeholders_but_gramines(pool: Pool) -> None:
    text = gramine_manifest.manifest(pool)
    own = text.count("{{ gramine.libos }}") + text.count("{{ gramine.runtimedir() }}")
    assert (text.count("{{"), text.count("{%"), text.count("{#")) == (own, 0, 0)


def test_a_file_is_trusted_with_the_hash_of_its_described_text() -> None:
    manifest: Any = gramine_manifest.build(made(files={"/ca.pem": "text\n"}))
    expected = hashlib.sha256(b"text\n").hexdigest()
    assert {"uri": "file:/ca.pem", "sha256": expected} in manifest["sgx"]["trusted_files"]


def test_a_volume_is_encrypted_with_a_key_of_its_own_or_in_memory() -> None:
    volumes = [
        {"name": "users", "path": "/data/"},
        {"name": "scratch", "path": "/scratch", "update_policy": "ephemeral"},
    ]
    manifest: Any = gramine_manifest.build(made(volumes=volumes))
    mounts = manifest["fs"]["mounts"]
    encrypted = {"type": "encrypted", "path": "/data", "uri": "file:/data", "key_name": "users"}
    assert encrypted in mounts
    assert {"type": "tmpfs", "path": "/scratch"} in mounts


def _set(*keys: str | int, to: object) -> Change:
    def change(made: dict[str, Any]) -> None:
        place: Any = made
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = to

    return change


_BAD: list[tuple[Change, str, str]] = [
    (_set("sgx", "enclave_sizee", to="1G"), "sgx.enclave_sizee", "unknown_key"),
    (_set("sgx", "enclave_size", to="3G"), "sgx.enclave_size", "not_a_power_of_two"),
    (_set("sgx", "enclave_size", to="big"), "sgx.enclave_size", "bad_size"),
    (_set("sgx", "remote_attestation", to="epid"), "sgx.remote_attestation", "unknown_value"),
    (_set("sgx", "trusted_files", 0, to="/lib"), "sgx.trusted_files[0]", "bad_uri"),
    (_set("loader", "argv", to="python3"), "loader.argv", "not_a_list"),
    (
        _set("loader", "env", "A", to={"passthrough": True, "value": "1"}),
        "loader.env.A",
        "exclusive",
    ),
    (_set("loader", "env", "A", to={"passthrough": False}), "loader.env.A", "bad_passthrough"),
    (_set("fs", "mounts", 0, "type", to="encrypted"), "fs.mounts[0].key_name", "missing_key"),
    (_set("fs", "mounts", 0, to={"path": "/x"}), "fs.mounts[0].uri", "missing_key"),
    (_set("libos", "entrypoint", to="python3"), "libos.entrypoint", "not_absolute"),
    (_set("sgx", "preheat_enclave", to="yes"), "sgx.preheat_enclave", "not_bool"),
]
_WEAK: list[tuple[Change, str, str]] = [
    (_set("sgx", "debug", to=True), "sgx.debug", "debug"),
    (_set("sgx", "remote_attestation", to="none"), "sgx.remote_attestation", "not_attested"),
    (
        _set("sgx", "file_check_policy", to="allow_all_but_log"),
        "sgx.file_check_policy",
        "unchecked_files",
    ),
    (_set("sgx", "allowed_files", to=["file:/x"]), "sgx.allowed_files", "unchecked_files"),
    (_set("sys", "disallow_subprocesses", to=False), "sys.disallow_subprocesses", "subprocesses"),
    (_set("loader", "log_level", to="debug"), "loader.log_level", "talkative"),
    (
        _set("loader", "insecure__use_host_env", to=True),
        "loader.insecure__use_host_env",
        "insecure",
    ),
    (lambda made: made["loader"].pop("argv"), "loader.argv", "no_argv"),
]


@pytest.mark.parametrize(
    ("change", "path", "code", "severity"),
    [
        *((*each, Severity.ERROR) for each in _BAD),
        *((*each, Severity.WARNING) for each in _WEAK),
    ],
)
def test_a_mistake_is_found_where_it_is(
    change: Change, path: str, code: str, severity: Severity
) -> None:
    changed: Any = copy.deepcopy(gramine_manifest.build(pools.full()))
    change(changed)
    found = gramine_manifest.check(changed)
    assert [(each.path, each.code, each.severity) for each in found] == [(path, code, severity)]


@pytest.mark.parametrize("wrong", [None, 1, "x", [1], [[]], [None], {"x": []}, [{"type": []}]])
@pytest.mark.parametrize("section", ["libos", "loader", "sys", "fs", "sgx"])
def test_a_section_of_the_wrong_type_is_only_reported(section: str, wrong: object) -> None:
    assert gramine_manifest.check(gramine_manifest.build(pools.full()) | {section: wrong})
    inner: Any = copy.deepcopy(gramine_manifest.build(pools.full()))
    for key in inner[section]:
        inner[section][key] = wrong
    assert gramine_manifest.check(inner)


def test_a_key_written_into_the_manifest_is_refused() -> None:
    changed: Any = copy.deepcopy(gramine_manifest.build(pools.full()))
    changed["fs"]["insecure__keys"] = {"users": "00" * 16}
    assert [each.code for each in gramine_manifest.check(changed)] == ["unknown_key"]


def test_what_is_no_manifest_is_one_finding() -> None:
    assert [each.code for each in gramine_manifest.check([])] == ["not_a_mapping"]
