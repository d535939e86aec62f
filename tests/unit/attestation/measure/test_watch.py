"""Trees that are looked at again: as if for the first time, and what came and went in between has left its time."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attestation.measure.digests import SETTLED, DigestCache
from attestation.measure.errors import IrregularFileError
from attestation.measure.manifest import Entry
from attestation.measure.tree import Tree
from attestation.measure.watch import Watch
from tests.unit.attestation.measure.ticks import in_an_hour, later_than

FILES = ("a", "b", "inner/a", "inner/deeper/a")
"""Where something can be; contents are short, so that sizes are often the same."""
steps = st.tuples(
    st.sampled_from(["write", "rewrite", "delete", "link", "directory"]),
    st.sampled_from(FILES),
    st.sampled_from(["1", "2", "22"]),
)


def _watch(path: Path, *, bytecode: bool = True) -> Watch:
    tree = Tree(name="app", path=str(path), bytecode=bytecode)
    return Watch((tree,), DigestCache(in_an_hour))


def _entries(watch: Watch) -> set[Entry]:
    return {*watch.entries()}


def _gone(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _step(root: Path, what: str, name: str, content: str) -> None:
    path = root / name
    if path.parent.exists() and not path.parent.is_dir():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    match what:
        case "rewrite" if path.is_file():
            status = path.stat()
            path.write_text(content)
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        case "write" | "rewrite":
            _gone(path)
            path.write_text(content)
        case "delete":
            _gone(path)
        case "link":
            _gone(path)
            path.symlink_to(root.parent / content)
        case "directory":
            _gone(path)
            path.mkdir()
        case _:
            raise AssertionError(what)


@settings(max_examples=60, deadline=None)
@given(st.lists(steps, max_size=6))
def test_a_second_look_finds_what_a_first_one_would(found: list[tuple[str, str, str]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        root, clock = Path(directory, "root"), Path(directory, "clock")
        root.mkdir()
        for content in ("1", "2"):
            Path(directory, content).write_text(content)
        kept = _watch(root)
        before: set[Entry] | None = None
        for step in found:
            clock.write_bytes(b"")
            later_than(clock)
            _step(root, *step)
            seen, fresh = kept.look(), _watch(root)
            newest = fresh.look().newest
            assert _entries(kept) == _entries(fresh)
            assert seen.newest == newest
            assert seen.changed or _entries(kept) == before
            before = _entries(kept)
            assert not kept.look().changed


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    (root / "module.py").write_text("1")
    (root / "link.py").symlink_to("module.py")
    return root


def _time(path: Path) -> int:
    """A moment after which nothing has happened yet."""
    later_than(path)
    clock = path.with_name("clock")
    clock.write_bytes(b"")
    later_than(clock)
    return clock.stat().st_ctime_ns


def test_what_was_put_back_has_left_its_time(root: Path) -> None:
    watch, module = _watch(root), root / "module.py"
    watch.look()
    since = _time(root)
    before = module.stat()
    module.write_text("2")
    module.write_text("1")
    os.utime(module, ns=(before.st_atime_ns, before.st_mtime_ns))
    seen = watch.look()
    assert not seen.changed
    assert seen.newest > since
    assert "app/module.py" in {*watch.newer(since)}


def test_a_link_that_was_switched_and_put_back_has_left_its_time(root: Path) -> None:
    way, link = root.parent / "way", root.parent / "to"
    way.symlink_to(root)
    link.symlink_to(way)
    watch = _watch(link)
    watch.look()
    since = _time(root)
    assert watch.look().newest <= since
    way.rename(root.parent / "aside")
    (root.parent / "aside").rename(way)
    assert watch.look().newest > since
    assert next(watch.newer(since)) == "app"


def test_a_file_that_came_and_went_has_left_its_time(root: Path) -> None:
    watch = _watch(root)
    watch.look()
    since = _time(root)
    (root / "shadow.py").write_text("2")
    (root / "shadow.py").unlink()
    assert watch.look().newest > since
    assert [*watch.newer(since)] == ["app"]


def test_that_something_was_where_nothing_is_has_left_its_time(tmp_path: Path) -> None:
    preload = tmp_path / "etc" / "ld.so.preload"
    preload.parent.mkdir()
    watch = _watch(preload)
    watch.look()
    since = _time(preload.parent)
    assert watch.look().newest <= since
    preload.write_text("evil.so")
    preload.unlink()
    assert watch.look().newest > since


@pytest.mark.parametrize("bytecode", [True, False])
def test_caches_that_come_count_if_they_are_read(root: Path, *, bytecode: bool) -> None:
    watch = _watch(root, bytecode=bytecode)
    watch.look()
    since = _time(root)
    for change in ((root / "__pycache__").mkdir, (root / "__pycache__").rmdir):
        change()
        seen = watch.look()
        assert (seen.newest > since) == bytecode
        assert seen.changed == bytecode
    (root / "other.py").write_text("2")
    assert watch.look().newest > since


def test_a_link_that_a_link_leads_to_has_its_time(root: Path) -> None:
    way = root.parent / "way.py"
    way.symlink_to(root / "module.py")
    (root / "far.py").symlink_to(way)
    watch = _watch(root)
    watch.look()
    since = _time(root)
    assert watch.look().newest <= since
    way.rename(root.parent / "aside")
    (root.parent / "aside").rename(way)
    seen = watch.look()
    assert seen.newest > since
    assert not seen.changed
    assert "app/far.py" in {*watch.newer(since)}


def test_what_a_link_leads_to_has_its_time(root: Path) -> None:
    target = root.parent / "target.py"
    target.write_text("1")
    (root / "far.py").symlink_to(target)
    watch = _watch(root)
    watch.look()
    since = _time(root)
    target.write_text("1")
    assert watch.look().newest > since
    assert [*watch.newer(since)] == ["app/far.py"]


def test_a_file_that_was_written_just_now_is_read_each_time(root: Path) -> None:
    (root / "link.py").unlink()
    module, listed = root / "module.py", root.stat().st_ctime_ns
    os.utime(module, ns=(listed, listed + SETTLED))
    digests = DigestCache(lambda: listed + SETTLED + 1)
    watch = Watch((Tree(name="app", path=str(root)),), digests)
    assert [watch.look().changed for _ in range(3)] == [True, False, False]
    assert digests.read == 3


def test_a_look_after_one_that_failed_finds_it_changed(root: Path) -> None:
    other = root.parent / "other"
    other.mkdir()
    trees = [Tree(name=path.name, path=str(path)) for path in (root, other)]
    watch = Watch(trees, DigestCache(in_an_hour))
    watch.look()
    later_than(root / "module.py")
    (root / "module.py").write_text("2")
    os.mkfifo(other / "pipe")
    with pytest.raises(IrregularFileError):
        watch.look()
    (other / "pipe").unlink()
    assert watch.look().changed
    assert not watch.look().changed
