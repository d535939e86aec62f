"""A file is read once, and again whenever it may have changed, whatever its times say."""

import hashlib
import os
import shutil
import time
from pathlib import Path

import pytest

from attestation.measure import digests
from attestation.measure.digests import DigestCache
from attestation.measure.errors import ChangedError, IrregularFileError, UnreadableError
from attestation.measure.seen import key_of
from tests.unit.attestation.measure.ticks import in_an_hour, later_than


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "module.py"
    file.write_bytes(b"answer = 42\n")
    return file


@pytest.fixture
def cache() -> DigestCache:
    return DigestCache(in_an_hour)


def _digest(cache: DigestCache, file: Path) -> str:
    return cache.digest(str(file), key_of(file.stat()))


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_file_that_did_not_change_is_read_once(cache: DigestCache, file: Path) -> None:
    assert [_digest(cache, file) for _ in range(3)] == [_hash(b"answer = 42\n")] * 3
    assert cache.read == 1


def test_a_changed_byte_is_seen_though_the_time_was_put_back(
    cache: DigestCache, file: Path
) -> None:
    _digest(cache, file)
    before = file.stat()
    later_than(file)
    file.write_bytes(b"answer = 43\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = file.stat()
    assert (after.st_mtime_ns, after.st_size) == (before.st_mtime_ns, before.st_size)
    assert _digest(cache, file) == _hash(b"answer = 43\n")


def test_a_file_that_was_renamed_over_it_is_seen(cache: DigestCache, file: Path) -> None:
    _digest(cache, file)
    before, other = file.stat(), file.with_name("other")
    other.write_bytes(b"answer = 43\n")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(file)
    assert _digest(cache, file) == _hash(b"answer = 43\n")


def test_a_switched_link_is_seen(cache: DigestCache, file: Path) -> None:
    link, other = file.with_name("link"), file.with_name("other")
    shutil.copy2(file, other)
    other.write_bytes(b"answer = 43\n")
    link.symlink_to(file)
    _digest(cache, link)
    link.unlink()
    link.symlink_to(other)
    assert _digest(cache, link) == _hash(b"answer = 43\n")


@pytest.mark.parametrize(
    ("seconds", "read"), [(-60, 2), (1, 2), (3600, 1)], ids=["future", "now", "settled"]
)
def test_a_file_is_known_again_once_it_is_settled(file: Path, seconds: int, read: int) -> None:
    cache = DigestCache(lambda: file.stat().st_ctime_ns + seconds * 10**9)
    _digest(cache, file)
    _digest(cache, file)
    assert cache.read == read


def test_the_clock_is_the_systems_unless_another_one_is_given(file: Path) -> None:
    cache = DigestCache()
    assert abs(cache._now_ns() - time.time_ns()) < 60 * 10**9
    _digest(cache, file)
    _digest(cache, file)
    assert cache.read == 2


def test_a_file_that_is_written_while_it_is_read_is_refused(
    cache: DigestCache, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = hashlib.file_digest

    def interrupted(*arguments: object) -> object:
        found = genuine(*arguments)  # type: ignore[arg-type]  # passed on as they came
        file.write_bytes(b"answer = 4242\n")
        return found

    monkeypatch.setattr(hashlib, "file_digest", interrupted)
    with pytest.raises(ChangedError, match="measure again") as caught:
        _digest(cache, file)
    assert caught.value.retry


def test_a_file_that_is_another_one_by_now_is_refused(cache: DigestCache, file: Path) -> None:
    seen = key_of(file.stat())
    later_than(file)
    file.write_bytes(b"answer = 43\n")
    with pytest.raises(ChangedError, match="measure again"):
        cache.digest(str(file), seen)


def test_a_pipe_is_refused_and_not_waited_for(cache: DigestCache, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(IrregularFileError, match="pipe is no regular file"):
        _digest(cache, tmp_path / "pipe")


def test_a_file_that_cannot_be_read_is_named(cache: DigestCache, file: Path) -> None:
    with pytest.raises(UnreadableError, match=r"cannot measure .*gone: No such file") as caught:
        cache.digest(str(file.with_name("gone")), key_of(file.stat()))
    assert caught.value.code == "measure_unreadable"


def test_not_more_is_kept_than_was_meant(
    cache: DigestCache, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "CAPACITY", 1)
    other = file.with_name("other.py")
    other.write_bytes(b"")
    for each in (file, other, file):
        _digest(cache, each)
    assert cache.read == 3


def test_what_was_kept_is_known_to_the_next_process(cache: DigestCache, file: Path) -> None:
    digest = _digest(cache, file)
    fresh = DigestCache(in_an_hour)
    fresh.take(cache.kept())
    assert _digest(fresh, file) == digest
    assert fresh.read == 0
    file.write_bytes(b"answer = 43\n")
    assert _digest(fresh, file) == _hash(b"answer = 43\n")
