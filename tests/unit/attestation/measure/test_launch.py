"""Whatever decides what a program does is in the measurement of its launch, and nothing else is."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation.measure.digests import DigestCache
from attestation.measure.errors import BadLaunchError
from attestation.measure.launch import Launch, manifest_of
from attestation.measure.manifest import measure
from attestation.measure.tree import Tree

LAUNCH = Launch(
    command=("{python}", "-m", "server"),
    variables={"HOME": "/root", "LISTEN_FD": "{fd}", "TZ": "UTC"},
    any_value=("HOME",),
    allowed_paths=("{slot_dir}", "/usr/lib"),
)
words = st.text("ab{}", max_size=3)


def _measured(launch: Launch) -> str:
    return measure(manifest_of(launch, DigestCache()))


def _changed(**fields: object) -> str:
    return _measured(msgspec.structs.replace(LAUNCH, **fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"command": ("-m", "{python}", "server")},
        {"command": ("{python}", "-m", "server", "")},
        {"command": ("{python}", "-m server")},
        {"variables": {**LAUNCH.variables, "TZ": "CET"}},
        {"variables": {**LAUNCH.variables, "LANG": ""}},
        {"variables": {"HOME": "/root", "TZ": "UTC"}},
        {"any_value": ()},
        {"any_value": ("HOME", "TZ")},
        {"allowed_paths": ("/usr/lib",)},
        {"allowed_paths": ("{slot_dir}", "/usr/lib", "/")},
        {"trees": (Tree(name="app", path="/nonexistent"),)},
    ],
)
def test_any_change_changes_the_measurement(fields: dict[str, object]) -> None:
    assert _changed(**fields) != _measured(LAUNCH)


@pytest.mark.parametrize(
    "fields",
    [
        {"variables": dict(sorted(LAUNCH.variables.items(), reverse=True))},
        {"variables": {**LAUNCH.variables, "HOME": "/home/other"}},
        {"variables": {"LISTEN_FD": "{fd}", "TZ": "UTC"}},
        {"allowed_paths": ("/usr/lib", "{slot_dir}", "/usr/lib")},
    ],
)
def test_what_means_nothing_does_not_change_it(fields: dict[str, object]) -> None:
    assert _changed(**fields) == _measured(LAUNCH)


@given(st.lists(words, max_size=4), st.lists(words, max_size=4))
def test_arguments_are_the_same_only_in_the_same_order(one: list[str], other: list[str]) -> None:
    same = _changed(command=tuple(one)) == _changed(command=tuple(other))
    assert same == (one == other)


@given(st.dictionaries(words, words, max_size=4), st.dictionaries(words, words, max_size=4))
def test_variables_are_the_same_only_with_names_and_values(
    one: dict[str, str], other: dict[str, str]
) -> None:
    assert (_changed(variables=one) == _changed(variables=other)) == (one == other)


def test_the_same_files_elsewhere_measure_the_same(tmp_path: Path) -> None:
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "module.py").write_bytes(b"1")
    here, there = (
        _changed(trees=(Tree(name="app", path=str(tmp_path / place)),))
        for place in ("here", "there")
    )
    assert here == there
    (tmp_path / "there" / "module.py").write_bytes(b"2")
    assert _changed(trees=(Tree(name="app", path=str(tmp_path / "there")),)) != here


@pytest.mark.parametrize(
    "pattern", ["*", "P*", "PATH", "LD_*", "LD_PRELOAD", "PYTHONPATH", "PYTHONHASHSEED", "*PATH"]
)
def test_what_makes_programs_load_code_cannot_have_any_value(pattern: str) -> None:
    with pytest.raises(BadLaunchError, match="decides which code runs"):
        _changed(any_value=(pattern,))
