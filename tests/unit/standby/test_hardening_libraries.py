"""A hardened program may read where Python looks for what it loads later."""

import sys
from pathlib import Path

import pytest

from standby.hardening.libraries import library_places


def test_the_standard_library_is_a_place_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "pycache_prefix", None)
    places = library_places()
    assert sum(Path(sys.base_prefix, "lib", "x").is_relative_to(each) for each in places) == 1
    assert all(each.exists() for each in places)


def test_a_directory_for_all_bytecode_is_a_place_if_it_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path))
    assert tmp_path in library_places()
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "none"))
    assert not any(each.is_relative_to(tmp_path) for each in library_places())
