"""Every file below a directory is in its entries, by a name that does not say where the directory is."""

import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation.measure import seen
from attestation.measure.digests import DigestCache
from attestation.measure.errors import IrregularFileError, TooLargeError, UnreadableError
from attestation.measure.manifest import Entry, Kind
from attestation.measure.tree import Tree
from attestation.measure.watch import Watch
from tests.unit.attestation.measure.ticks import in_an_hour, later_than

names = st.text("abc._-", min_size=1, max_size=4).filter(lambda each: each not in {".", ".."})
contents = st.dictionaries(names, st.binary(max_size=8), max_size=5)


def _found(path: Path, cache: DigestCache | None = None, **details: object) -> set[Entry]:
    described = Tree(name="app", path=str(path), **details)  # type: ignore[arg-type]  # of Tree
    watch = Watch((described,), cache or DigestCache())
    watch.look()
    return {*watch.entries()}


def _file(name: str, content: bytes = b"") -> Entry:
    return Entry(Kind.FILE, f"app/{name}", hashlib.sha256(content).hexdigest())


def _written(files: Mapping[str, bytes]) -> set[Entry]:
    with tempfile.TemporaryDirectory() as directory:
        for name, content in files.items():
            Path(directory, name).write_bytes(content)
        return _found(Path(directory))


@given(contents)
def test_entries_are_the_files_wherever_they_are_and_whenever_they_came(
    files: dict[str, bytes],
) -> None:
    expected = {_file(name, content) for name, content in files.items()}
    assert _written(files) == expected
    assert _written(dict(reversed(files.items()))) == expected


@given(contents, contents)
def test_different_files_have_different_entries(
    one: dict[str, bytes], other: dict[str, bytes]
) -> None:
    assert (_written(one) == _written(other)) == (one == other)


def test_directories_are_looked_into(tmp_path: Path) -> None:
    (tmp_path / "inner" / "empty").mkdir(parents=True)
    (tmp_path / "inner" / "module.py").write_bytes(b"1")
    assert _found(tmp_path) == {_file("inner/module.py", b"1")}


def test_a_changed_byte_is_seen_by_a_cache_that_knows_the_file(tmp_path: Path) -> None:
    cache = DigestCache(in_an_hour)
    file = tmp_path / "module.py"
    file.write_bytes(b"1")
    assert _found(tmp_path, cache) == {_file("module.py", b"1")}
    before = file.stat()
    later_than(file)
    file.write_bytes(b"2")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert _found(tmp_path, cache) == {_file("module.py", b"2")}


def test_links_count_as_what_they_lead_to(tmp_path: Path) -> None:
    top, other = tmp_path / "top", tmp_path / "other"
    top.mkdir()
    other.mkdir()
    (other / "module.py").write_bytes(b"1")
    (top / "file").symlink_to(other / "module.py")
    (top / "directory").symlink_to(other)
    (top / "nowhere").symlink_to(tmp_path / "nothing")
    absent = Entry(Kind.ABSENT, "app/nowhere")
    assert _found(top) == {_file("file", b"1"), _file("directory/module.py", b"1"), absent}


def test_a_link_that_was_switched_is_seen(tmp_path: Path) -> None:
    top, cache = tmp_path / "top", DigestCache(in_an_hour)
    top.mkdir()
    for content in (b"1", b"2"):
        (tmp_path / content.decode()).mkdir()
        (tmp_path / content.decode() / "module.py").write_bytes(content)
        (top / "link").unlink(missing_ok=True)
        (top / "link").symlink_to(tmp_path / content.decode())
        assert _found(top, cache) == {_file("link/module.py", content)}


def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "up").symlink_to(tmp_path)
    with pytest.raises(UnreadableError, match="up: the link leads to a directory above it"):
        _found(tmp_path)
    (tmp_path / "inner" / "up").unlink()
    (tmp_path / "self").symlink_to("self")
    with pytest.raises(UnreadableError, match="self: Too many levels of symbolic links"):
        _found(tmp_path)


def test_what_is_neither_file_nor_directory_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(IrregularFileError, match="pipe"):
        _found(tmp_path)


def test_a_directory_that_nobody_meant_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seen, "MAX_FILES", 3)
    for name in "abc":
        (tmp_path / name).write_bytes(b"")
    assert len(_found(tmp_path)) == 3
    (tmp_path / "d").write_bytes(b"")
    with pytest.raises(TooLargeError, match="more than 3 files"):
        _found(tmp_path)


def test_a_file_can_be_a_tree_and_nothing_can_be_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1")
    digest = hashlib.sha256(b"1").hexdigest()
    assert _found(tmp_path / "file") == {Entry(Kind.FILE, "app", digest)}
    for nothing in (tmp_path / "none", tmp_path / "file" / "below"):
        assert _found(nothing) == {Entry(Kind.ABSENT, "app")}


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    for name in ("test", "inner/test"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "module.py").write_bytes(b"1")
    omitted = Entry(Kind.OMITTED, "app/test")
    assert _found(tmp_path, omitted=("test",)) == {omitted, _file("inner/test/module.py", b"1")}


def test_a_file_in_place_of_what_is_left_out_is_measured(tmp_path: Path) -> None:
    (tmp_path / "test").write_bytes(b"1")
    omitted = Entry(Kind.OMITTED, "app/test")
    assert _found(tmp_path, omitted=("test",)) == {omitted, _file("test", b"1")}


def test_caches_are_measured_exactly_if_they_are_read(tmp_path: Path) -> None:
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "module.pyc").write_bytes(b"1")
    (tmp_path / "sourceless.pyc").write_bytes(b"1")
    beside = _file("__pycache__/module.pyc", b"1")
    assert _found(tmp_path) == {beside, _file("sourceless.pyc", b"1")}
    assert _found(tmp_path, bytecode=False) == {_file("sourceless.pyc", b"1")}
