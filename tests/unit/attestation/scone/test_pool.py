from pathlib import Path
from typing import Any

import msgspec
import pytest

from attestation.scone import pool
from attestation.scone.pool import PoolError, UpdatePolicy
from tests.unit.attestation.scone import pools
from tests.unit.attestation.scone.pools import CERTIFICATE, made

_ROOT = Path(__file__).parents[4]


def test_the_smallest_description_is_enough() -> None:
    assert not list(pool.problems(made()))


def test_everything_is_read(tmp_path: Path) -> None:
    full = pools.full()
    assert full.signer is not None
    assert full.signer.isvsvn_min == 3
    assert [each.update_policy for each in full.volumes] == [
        UpdatePolicy.ROLLBACK_PROTECTED,
        UpdatePolicy.EPHEMERAL,
    ]
    assert full.access.update == ["CREATOR"]
    with pytest.raises(PoolError, match="No such file"):
        pool.load(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = ", "cannot use"),
        ('nam = "x"', "unknown field `nam`"),
        ("\xff", "cannot use"),
        ('name = "x"', "missing required field"),
    ],
)
def test_a_file_that_is_no_description_is_refused_by_name(
    tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "pool.toml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(PoolError, match=said) as refusal:
        pool.load(file)
    assert str(file) in str(refusal.value)
    assert refusal.value.code == "bad_pool_description"


def test_a_contradiction_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "pool.toml"
    golden = (pools.GOLDEN / "pool.toml").read_text()
    file.write_text(golden.replace("hyperthreading", "debug-mode"))
    with pytest.raises(PoolError, match=r"pool\.toml: tolerate: with 'debug-mode'"):
        pool.load(file)


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "Upper"},
        {"name": "a\n"},
        {"image": "a b"},
        {"image": "a\nRUN evil"},
        {"heap": "64"},
        {"heap": "0M"},
        {"session": "a b"},
        {"session": "/a"},
        {"session": "a//b"},
        {"session": "x" * 129},
        {"predecessor": "AB" * 32},
        {"mrenclave": ["ab" * 31]},
        {"mrenclave": ["ab" * 32 + "\n"]},
        {"signer": {"mrsigner": "ab" * 32}},
        {"signer": {"mrsigner": "ab" * 32, "isvprodid": 0x10000, "isvsvn_min": 0}},
        {"platforms": ["INTEL_QE_ID:0"]},
        {"ignore_advisories": ["*"]},
        {"command": []},
        {"command": [""]},
        {"cas": {"address": "a b"}},
        {"cas": {"address": "a:0"}},
        {"cas": {"address": "a\nSCONE_MODE=sim"}},
        {"volumes": [{"name": "a", "path": "data"}]},
        {"volumes": [{"name": "a", "path": "/a/../b"}]},
        {"volumes": [{"name": "a", "path": "/a", "update_policy": "no_rollback_protection"}]},
        {"access": {"update": ["ANY"]}},
        {"access": {"read": []}},
        {"gramine": {"max_threads": 3}},
        {"environment": {"host": ["A" * 256]}},
        {"identity": {"certificate": "A"}},
        {"identity": {"certificate": "A B", "key": "B"}},
        {"filesystem": {"path": "/f", "tag": "00", "key": "11"}},
    ],
    ids=str,
)
def test_a_value_of_the_wrong_form_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        made(**fields)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"mrenclave": []}, "one of them is needed"),
        ({"command": ["python3"]}, "absolute path"),
        ({"session": "a/../b"}, "`.` or `..`"),
        ({"tolerate": ["debug-mode"]}, "proves nothing"),
        ({"tolerate": ["outdated-tcb"]}, "proves nothing"),
        ({"tolerate": ["maa-managed-tcb"]}, "unknown"),
        ({"environment": {"set": {"SCONE_ALLOW_DLOPEN": "2"}}}, "SCONE's own"),
        ({"environment": {"host": ["SCONE_FORK"]}}, "SCONE's own"),
        ({"environment": {"host": ["LD_PRELOAD"]}}, "what code runs"),
        ({"environment": {"host": ["PYTHONPATH"]}}, "what code runs"),
        ({"environment": {"host": ["A"], "set": {"A": "1"}}}, "there twice"),
        ({"environment": {"host": ["A"]}, "identity": {"certificate": "A", "key": "B"}}, "twice"),
        ({"identity": {"certificate": "A", "key": "A"}}, "there twice"),
        ({"identity": {"certificate": "SCONE_A", "key": "B"}}, "SCONE's own"),
        ({"environment": {"set": {"A": "$$SCONE::issuer_key$$"}}}, "placeholder"),
        ({"environment": {"set": {"A": "@@B"}}}, "placeholder"),
        ({"environment": {"set": {"A": "a\nb"}}}, "control characters"),
        ({"command": ["/x", "{{ env }}"]}, "placeholder"),
        ({"command": ["/x", "\x00"]}, "control characters"),
        ({"files": {"/a": "$$SCONE::issuer_key$$"}}, "placeholder"),
        ({"files": {"/a": "\x1b"}}, "control characters"),
        ({"files": {"/a/": "x"}}, "directory"),
        ({"files": {"/run/identity/issuer.pem": "x"}}, "identity is injected"),
        ({"volumes": [{"name": "a", "path": "/run/identity/"}]}, "identity is injected"),
        ({"volumes": [{"name": "a", "path": "/a"}], "files": {"/a": "x"}}, "there twice"),
        ({"volumes": [{"name": "a", "path": f"/{n}"} for n in "ab"]}, "there twice"),
        ({"mrenclave": ["ab" * 32] * 2}, "there twice"),
        ({"gramine": {"enclave_size": "3G"}}, "power of two"),
    ],
    ids=str,
)
def test_what_contradicts_or_weakens_is_named(fields: dict[str, Any], said: str) -> None:
    found = list(pool.problems(made(**fields)))
    assert len(found) == 1
    assert said in found[0]


def test_a_file_may_have_lines() -> None:
    assert not list(pool.problems(made(files={"/a.pem": CERTIFICATE})))


def test_the_description_in_the_documentation_can_be_used(tmp_path: Path) -> None:
    page = (_ROOT / "docs/how-to/run-with-scone.md").read_text(encoding="utf-8")
    file = tmp_path / "pool.toml"
    file.write_text(page.split("```toml\n")[1].split("```")[0])
    assert pool.load(file).name == "smartgrid"
