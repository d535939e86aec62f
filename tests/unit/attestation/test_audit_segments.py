"""A log in segments is one chain: closed segments may leave from its beginning, and from nowhere else."""

import shutil
from pathlib import Path
from typing import Final

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from attestation.audit import (
    LOG_FILE,
    AuditError,
    AuditLog,
    Head,
    Outcome,
    Result,
    in_order,
    segments,
    verify,
)
from tests.support.dying import every_death

KEY: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC: Final = KEY.public_key()
SEGMENT: Final = 2000
"""Bytes; some four of these entries."""


def _open(directory: Path, segment: int = SEGMENT) -> AuditLog:
    return AuditLog.open(directory, KEY, lambda: 1234.5, segment=segment)


def _write(directory: Path, count: int) -> list[Head]:
    with _open(directory) as log:
        return [log.append({"n": number}) for number in range(count)]


def _bodies(*files: Path) -> list[object]:
    lines = [line for file in files for line in file.read_bytes().splitlines()]
    return [msgspec.json.decode(line)["entry"]["body"] for line in lines]


def _verified(files: list[Path], known: Head | None = None) -> Result:
    return verify(files, PUBLIC, known)


@pytest.fixture
def log(tmp_path: Path) -> list[Path]:
    """The segments of a log, of which three are closed."""
    _write(tmp_path, 16)
    found = segments(tmp_path)
    assert len(found) == 4
    return found


def test_a_segment_of_its_size_is_closed_and_the_next_one_goes_on(log: list[Path]) -> None:
    assert [each.name for each in log][-1] == LOG_FILE
    for file in log[:-1]:
        assert file.stat().st_size < 2 * SEGMENT
        last = msgspec.json.decode(file.read_bytes().splitlines()[-1])["entry"]
        assert last["body"] == {"segment": "closed"}
        assert file.name == f"audit-{last['sequence']:012}.jsonl"
    for file in log[1:]:
        assert _bodies(file)[0] == {"segment": "begun"}
    said = [each for each in _bodies(*log) if isinstance(each, dict) and "n" in each]
    assert said == [{"n": number} for number in range(16)]


def test_all_segments_together_are_verified_as_one_log(log: list[Path], tmp_path: Path) -> None:
    result = _verified(log)
    count = len(_bodies(*log))
    assert (result.outcome, result.text) == (
        Outcome.FINE,
        f"{count} entries, all as they were written",
    )
    assert result.head is not None
    assert result.head.sequence == count
    assert result.absent is None
    (last,) = _write(tmp_path, 1)
    assert last.sequence > count


def test_a_closed_segment_says_that_nothing_was_cut_off(log: list[Path]) -> None:
    assert "the last segment is closed" in _verified(log[:1]).text
    assert "closed" not in _verified(log).text


@pytest.mark.parametrize("gone", [1, 2, 3])
def test_oldest_segments_that_are_elsewhere_are_told_and_no_error(
    log: list[Path], gone: int
) -> None:
    archived, here = log[:gone], log[gone:]
    end = _verified(archived).head
    assert end is not None
    result = _verified(here)
    assert (result.outcome, result.absent) == (Outcome.FINE, end)
    assert result.text.startswith(f"entries {end.sequence + 1} to ")
    assert _verified(here, known=end).outcome is Outcome.FINE


def test_a_head_in_an_absent_segment_is_not_compared_and_that_is_told(log: list[Path]) -> None:
    old = _verified(log[:1]).head
    assert _verified(log[1:], known=old).compared
    assert not _verified(log[2:], known=old).compared
    assert _verified(log, known=old).compared


def test_a_head_that_ends_the_absent_segments_is_compared(log: list[Path]) -> None:
    end = _verified(log[:2]).head
    assert end is not None
    other = Head(end.sequence, "0" * 64)
    assert _verified(log[2:], known=other).outcome is Outcome.REWRITTEN


def test_a_segment_out_of_the_middle_is_missed(log: list[Path]) -> None:
    first, second, third, last = log
    assert _verified([first, third, last]).outcome is Outcome.MISSING
    assert _verified([first, second, last]).outcome is Outcome.MISSING
    assert _verified([second, last]).outcome is Outcome.MISSING


def test_segments_in_another_order_are_not_one_log(log: list[Path]) -> None:
    first, second, third, last = log
    assert _verified([first, third, second, last]).outcome is not Outcome.FINE
    assert _verified([second, first, third, last]).outcome is not Outcome.FINE
    assert in_order([last, second, first, third]) == log


def test_only_at_a_boundary_may_something_be_absent(log: list[Path]) -> None:
    """From the second line on, it is another file with a gap before it."""
    lines = log[1].read_bytes().splitlines(keepends=True)
    log[1].write_bytes(b"".join(lines[1:]))
    assert _verified(log[1:]).outcome is Outcome.MISSING


def test_a_closed_segment_without_its_end_is_missed(log: list[Path]) -> None:
    lines = log[1].read_bytes().splitlines(keepends=True)
    log[1].write_bytes(b"".join(lines[:-1]))
    assert _verified(log).outcome is Outcome.MISSING
    log[1].write_bytes(b"".join(lines)[:-5])
    assert _verified(log).outcome is Outcome.TORN_END


def test_a_change_in_any_segment_names_its_file(log: list[Path]) -> None:
    log[2].write_bytes(log[2].read_bytes().replace(b'"n":', b'"m":', 1))
    result = _verified(log)
    assert result.outcome is Outcome.ALTERED
    assert log[2].name in result.text


def test_who_goes_on_needs_no_closed_segment(log: list[Path], tmp_path: Path) -> None:
    end = _verified(log).head
    assert end is not None
    for file in log[:-1]:
        shutil.move(file, tmp_path.parent / file.name)
    (head,) = _write(tmp_path, 1)
    assert head.sequence == end.sequence + 1
    assert _verified(segments(tmp_path), known=end).outcome is Outcome.FINE


def test_without_the_segment_that_is_written_nobody_goes_on(
    log: list[Path], tmp_path: Path
) -> None:
    """Another chain would begin beside the closed segments."""
    log[-1].rename(tmp_path / "moved")
    with pytest.raises(AuditError, match=f"{LOG_FILE} is missing"):
        _open(tmp_path)
    (tmp_path / "moved").rename(log[-1])
    _write(tmp_path, 1)


def test_another_file_with_a_segments_name_is_not_taken_for_it(tmp_path: Path) -> None:
    heads = _write(tmp_path, 3)
    with _open(tmp_path, segment=1) as log:
        name = tmp_path / f"audit-{heads[-1].sequence + 1:012}.jsonl"
        name.write_text("something else")
        with pytest.raises(AuditError, match="another file"):
            log.append({"n": 3})
        name.unlink()
        log.append({"n": 3})
    assert _verified(segments(tmp_path)).outcome is Outcome.FINE


def test_one_writer_at_a_time_whatever_segment_it_writes(tmp_path: Path) -> None:
    with _open(tmp_path) as log:
        for number in range(10):
            log.append({"n": number})
            with pytest.raises(AuditError, match="by another process"):
                _open(tmp_path)


def test_a_writer_that_dies_at_any_step_leaves_a_log_that_is_whole_and_goes_on(
    tmp_path: Path,
) -> None:
    """What it said that it wrote is there, once; the segment is closed by the next one if it was not."""
    told: list[Head] = []
    directory = tmp_path / "begin"
    writer = _open(directory, segment=1)

    def work() -> None:
        told.append(writer.append({"n": len(told)}))

    deaths = 0
    work()
    for step in every_death(work):
        writer.close()
        copy = Path(shutil.copytree(directory, tmp_path / f"after-{step}"))
        for place in (directory, copy):  # in a copy, two names of one file are two files
            assert _verified(segments(place), known=told[-1]).outcome in {
                Outcome.FINE,
                Outcome.TORN_END,
            }
        with _open(copy) as next_one:
            head = next_one.append({"n": "after"})
        assert _verified(segments(copy), known=told[-1]).outcome is Outcome.FINE
        assert _verified(segments(copy)).head == head
        _check_told(segments(copy), told)
        writer, deaths = _open(directory, segment=1), deaths + 1
    writer.close()
    assert deaths > 10
    assert _verified(segments(directory), known=told[-1]).outcome is Outcome.FINE


def _check_told(files: list[Path], told: list[Head]) -> None:
    entries = [
        msgspec.json.decode(line) for file in files for line in file.read_bytes().splitlines()
    ]
    hashes = [each["hash"] for each in entries]
    assert all(hashes.count(head.hash) == 1 for head in told)
    assert len(hashes) == len(set(hashes))


def test_a_writer_goes_on_after_an_error_at_any_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk, for instance: the same writer tries again."""
    with _open(tmp_path, segment=1) as log:
        known = log.append({"n": 0})
        for name in ("link", "fsync", "replace", "open", "pwrite"):
            with monkeypatch.context() as patch:
                patch.setattr(f"os.{name}", _fail)
                with pytest.raises(AuditError, match="cannot be written"):
                    log.append({"n": name})
            known = log.append({"n": name})
            assert _verified(segments(tmp_path), known=known).head == known


def _fail(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")
