"""No entry can be changed, taken out or put in unseen; a writer that is killed leaves a log that can be continued."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from attestation import audit
from attestation.audit import AuditError, AuditLog, Head, Outcome, Result, entries, verify

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
PUBLIC = KEY.public_key()


def _write(directory: Path, count: int, key: Ed25519PrivateKey = KEY) -> list[Head]:
    with AuditLog.open(directory, key, lambda: 1234.5) as log:
        return [log.append({"n": number, "text": "é\n"}) for number in range(count)]


def _log(directory: Path) -> Path:
    return directory / audit.LOG_FILE


def _lines(directory: Path) -> list[bytes]:
    return _log(directory).read_bytes().splitlines(keepends=True)


def _verified(directory: Path, *lines: bytes, known: Head | None = None) -> Result:
    """Of a log that has these lines."""
    file = directory / "changed.jsonl"
    file.write_bytes(b"".join(lines))
    return verify([file], PUBLIC, known)


# --- writing


def test_what_was_appended_is_in_the_log_in_order(tmp_path: Path) -> None:
    heads = _write(tmp_path / "audit", 3)
    entries = [msgspec.json.decode(line)["entry"] for line in _lines(tmp_path / "audit")]
    assert [entry["sequence"] for entry in entries] == [1, 2, 3]
    assert [entry["body"]["n"] for entry in entries] == [0, 1, 2]
    assert [entry["previous"] for entry in entries] == ["0" * 64, heads[0].hash, heads[1].hash]
    assert {(entry["at"], entry["cut"]) for entry in entries} == {(1234.5, 0)}
    result = verify([_log(tmp_path / "audit")], PUBLIC, heads[1])
    assert (result.outcome, result.head, result.cuts) == (Outcome.FINE, heads[2], ())


def test_only_its_owner_reads_it_and_the_key_beside_it_verifies_it(tmp_path: Path) -> None:
    _write(tmp_path / "audit", 1)
    assert _log(tmp_path / "audit").stat().st_mode & 0o077 == 0
    key = audit.read_public_key(tmp_path / "audit" / audit.KEY_FILE)
    assert verify([_log(tmp_path / "audit")], key).outcome is Outcome.FINE


def test_an_entry_is_synced_before_append_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bytes] = []

    def fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").read_bytes())

    with AuditLog.open(tmp_path, KEY) as log:
        monkeypatch.setattr(os, "fsync", fsync)
        log.append({"marker": 1})
    assert len(synced) == 1
    assert b'"marker":1' in synced[0]


def test_a_log_is_continued_where_it_ended(tmp_path: Path) -> None:
    first, second = _write(tmp_path, 2), _write(tmp_path, 2)
    assert [head.sequence for head in (*first, *second)] == [1, 2, 3, 4]
    assert verify([_log(tmp_path)], PUBLIC, first[1]).head == second[1]


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    with AuditLog.open(tmp_path, KEY), pytest.raises(AuditError, match="by another process"):
        AuditLog.open(tmp_path, KEY)
    _write(tmp_path, 1)


def test_another_signer_does_not_continue_a_log(tmp_path: Path) -> None:
    _write(tmp_path, 1)
    with pytest.raises(AuditError, match="key of another signer"):
        AuditLog.open(tmp_path, OTHER)
    (tmp_path / audit.KEY_FILE).unlink()
    with pytest.raises(AuditError, match="its last line was signed with another key"):
        AuditLog.open(tmp_path, OTHER)


def _flip(line: bytes, place: int) -> bytes:
    return line[:place] + bytes([line[place] ^ 1]) + line[place + 1 :]


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [lines[0], _flip(lines[1], 60)],
        lambda lines: [lines[0], b"{}\n"],
        lambda lines: [lines[1]],
        lambda lines: [lines[0], b"x" * entries.LONGEST_LINE * 3],
        lambda lines: [lines[0], b"x" * entries.LONGEST_LINE * 3 + b"\n"],
    ],
)
def test_a_log_whose_last_entry_is_wrong_is_not_continued(
    tmp_path: Path, change: Callable[[list[bytes]], list[bytes]]
) -> None:
    _write(tmp_path, 2)
    changed = b"".join(change(_lines(tmp_path)))
    _log(tmp_path).write_bytes(changed)
    with pytest.raises(AuditError, match="standby audit verify"):
        AuditLog.open(tmp_path, KEY)
    assert _log(tmp_path).read_bytes() == changed


def test_an_entry_that_no_reader_would_take_is_not_written(tmp_path: Path) -> None:
    with AuditLog.open(tmp_path, KEY) as log:
        with pytest.raises(AuditError, match="too long"):
            log.append("x" * entries.LONGEST_LINE)
        assert log.append("x" * (entries.LONGEST_LINE - 1000)).sequence == 1
    assert verify([_log(tmp_path)], PUBLIC).outcome is Outcome.FINE


def test_a_directory_that_cannot_be_had_is_an_error_of_the_log(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AuditError, match="cannot be opened"):
        AuditLog.open(tmp_path / "file", KEY)


# --- changes


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[bytes], list[Head]]:
    directory = tmp_path_factory.mktemp("audit")
    heads = _write(directory, 3)
    return directory, _lines(directory), heads


Three = tuple[Path, list[bytes], list[Head]]


def test_a_change_of_any_byte_is_found_in_its_line(three: Three) -> None:
    directory, lines, heads = three
    for number, line in enumerate(lines):
        for place in range(len(line)):
            changed = [*lines[:number], _flip(line, place), *lines[number + 1 :]]
            result = _verified(directory, *changed)
            assert result.outcome in {Outcome.ALTERED, Outcome.UNREADABLE, Outcome.TORN_END}
            assert result.head == (heads[number - 1] if number else None)
            assert f"line {number + 1} " in result.text


@given(st.data())
def test_any_bytes_put_in_taken_out_or_exchanged_are_found(
    three: Three, data: st.DataObject
) -> None:
    directory, lines, heads = three
    whole = b"".join(lines)
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(len(whole), start + 40)))
    put_in = data.draw(st.binary(max_size=10) | st.sampled_from([b" ", b"\n", b"0", lines[1]]))
    changed = whole[:start] + put_in + whole[end:]
    if changed != whole:
        assert _verified(directory, changed, known=heads[-1]).outcome is not Outcome.FINE


@given(st.lists(st.integers(0, 2), max_size=5))
def test_entries_in_any_other_order_or_number_are_found(three: Three, chosen: list[int]) -> None:
    directory, lines, heads = three
    result = _verified(directory, *[lines[each] for each in chosen], known=heads[-1])
    assert (result.outcome is Outcome.FINE) is (chosen == [0, 1, 2])


def test_each_kind_of_change_has_its_own_outcome(three: Three, tmp_path: Path) -> None:
    directory, (first, second, third), heads = three
    _write(tmp_path / "foreign", 3, OTHER)
    foreign = _lines(tmp_path / "foreign")[1]
    with AuditLog.open(tmp_path / "rewritten", KEY) as log:
        other = [log.append({"other": number}) for number in range(3)]
    rewritten = _lines(tmp_path / "rewritten")
    last = heads[-1]

    def outcome(*lines: bytes, known: Head | None = None) -> Outcome:
        return _verified(directory, *lines, known=known).outcome

    assert outcome(first, second, third, known=last) is Outcome.FINE
    assert outcome(first, third) is Outcome.MISSING
    assert outcome(second, third) is Outcome.MISSING
    assert outcome(first, first, second) is Outcome.ALTERED
    assert outcome(first, rewritten[1], third) is Outcome.ALTERED
    assert outcome(first, second.replace(b'"n":1', b'"n":7')) is Outcome.ALTERED
    assert outcome(first, second.replace(b"{", b"{ ", 1)) is Outcome.ALTERED
    assert outcome(first, foreign, third) is Outcome.WRONG_SIGNER
    assert outcome(first, b"hello\n", third) is Outcome.UNREADABLE
    assert outcome(first, b"x" * entries.LONGEST_LINE + third) is Outcome.UNREADABLE
    assert outcome(first, second, third[:-1]) is Outcome.TORN_END
    assert outcome(first, second) is Outcome.FINE
    assert outcome(first, second, known=last) is Outcome.TRUNCATED
    assert outcome(first, second, third[:-9], known=last) is Outcome.TRUNCATED
    assert outcome(known=last) is Outcome.TRUNCATED
    assert outcome(*rewritten) is Outcome.FINE
    assert outcome(*rewritten, known=last) is Outcome.REWRITTEN
    assert outcome(*rewritten, known=other[1]) is Outcome.FINE


def test_a_forger_who_knows_the_form_but_not_the_key_is_found(three: Three) -> None:
    directory, (first, second, third), _ = three
    entry = bytes(msgspec.json.decode(second, type=dict[str, msgspec.Raw])["entry"])
    changed = entry.replace(b'"n":1', b'"n":7')
    digest = entries.hash_of(changed)
    signature = OTHER.sign(entries.to_be_signed(digest)).hex().encode()
    forged = b'{"entry":%b,"hash":"%b","signature":"%b"}\n' % (
        changed,
        digest.hex().encode(),
        signature,
    )
    result = _verified(directory, first, forged, third)
    assert (result.outcome, "signature" in result.text) == (Outcome.ALTERED, True)


def test_an_empty_log_is_fine_and_an_absent_one_is_not_readable(tmp_path: Path) -> None:
    assert _verified(tmp_path) == Result(
        outcome=Outcome.FINE, text="0 entries, all as they were written", head=None
    )
    assert verify([tmp_path / "absent"], PUBLIC).outcome is Outcome.UNREADABLE
    assert verify([tmp_path], PUBLIC).outcome is Outcome.UNREADABLE


@pytest.mark.parametrize(
    "text", ["", "1", f"0:{'a' * 64}", f"1:{'A' * 64}", f"1:{'a' * 63}", f"1:{'a' * 64}\n", "x:y"]
)
def test_a_head_has_one_form(text: str) -> None:
    with pytest.raises(ValueError, match="a head is"):
        Head.parse(text)
    assert str(Head.parse(f"7:{'a' * 64}")) == f"7:{'a' * 64}"


@pytest.mark.parametrize("key", [KEY, ec.generate_private_key(ec.SECP256R1()).public_key()])
def test_only_a_public_key_for_these_signatures_is_one(
    tmp_path: Path, key: Ed25519PrivateKey | ec.EllipticCurvePublicKey
) -> None:
    pem = serialization.Encoding.PEM
    if isinstance(key, Ed25519PrivateKey):
        secret = serialization.PrivateFormat.PKCS8
        text = key.private_bytes(pem, secret, serialization.NoEncryption())
    else:
        text = key.public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pem").write_bytes(text)
    with pytest.raises(ValueError, match="public key"):
        audit.read_public_key(tmp_path / "key.pem")


# --- crashes

_WRITER = """
import resource, signal, sys
from pathlib import Path
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from attestation.audit import AuditLog

log = AuditLog.open(Path(sys.argv[1]), Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
if sys.argv[2] != "-":  # the kernel writes up to this size and kills the process at the next byte
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
while True:
    print(log.append({"text": "x" * 200}), flush=True)
"""


@contextlib.contextmanager
def _writer(directory: Path, largest: str = "-") -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", _WRITER, str(directory), largest]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _killed_in_the_middle_of(directory: Path, size: int) -> Head:
    """A writer that the kernel killed while it wrote; what it said last."""
    with _writer(directory, str(size)) as process:
        told, _ = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGXFSZ
    assert _log(directory).stat().st_size == size
    return Head.parse(told.split()[-1])


@pytest.mark.parametrize("size", [3000, 3001, 3333])
def test_what_a_killed_writer_did_not_finish_is_cut_off_and_the_next_entry_says_so(
    tmp_path: Path, size: int
) -> None:
    known = _killed_in_the_middle_of(tmp_path, size)
    unfinished = len(_lines(tmp_path)[-1])
    torn = verify([_log(tmp_path)], PUBLIC, known)
    assert (torn.outcome, torn.head) == (Outcome.TORN_END, known)

    (head,) = _write(tmp_path, 1)
    assert head.sequence == known.sequence + 1
    assert msgspec.json.decode(_lines(tmp_path)[-1])["entry"]["cut"] == unfinished
    whole = verify([_log(tmp_path)], PUBLIC, known)
    assert (whole.outcome, whole.head, whole.cuts) == (Outcome.FINE, head, (head.sequence,))


def test_what_was_cut_off_is_still_said_when_the_log_was_only_opened_in_between(
    tmp_path: Path,
) -> None:
    known = _killed_in_the_middle_of(tmp_path, 3000)
    _write(tmp_path, 0)
    assert verify([_log(tmp_path)], PUBLIC).outcome is Outcome.TORN_END
    _write(tmp_path, 1)
    assert verify([_log(tmp_path)], PUBLIC).cuts == (known.sequence + 1,)


def test_an_unfinished_entry_longer_than_the_next_one_leaves_nothing(tmp_path: Path) -> None:
    _write(tmp_path, 1)
    with _log(tmp_path).open("ab") as log:
        log.write(b"{" * 5000)
    _write(tmp_path, 2)
    result = verify([_log(tmp_path)], PUBLIC)
    assert (result.outcome, result.cuts) == (Outcome.FINE, (2,))


def test_a_log_whose_first_entry_was_not_finished_begins_again(tmp_path: Path) -> None:
    _log(tmp_path).write_bytes(b'{"entry":{')
    _write(tmp_path, 1)
    result = verify([_log(tmp_path)], PUBLIC)
    assert (result.outcome, result.cuts) == (Outcome.FINE, (1,))


def test_whatever_a_killed_writer_said_is_in_the_log(tmp_path: Path) -> None:
    with _writer(tmp_path) as process:
        assert process.stdout
        told = [process.stdout.readline() for _ in range(20)]
        process.kill()
        told += process.stdout.readlines()
        process.wait(60)
    known = [Head.parse(line.strip()) for line in told if line.endswith("\n")][-1]
    assert known.sequence >= 20
    found = verify([_log(tmp_path)], PUBLIC, known).outcome
    assert found in {Outcome.FINE, Outcome.TORN_END}
    _write(tmp_path, 1)
    assert verify([_log(tmp_path)], PUBLIC, known).outcome is Outcome.FINE


def test_after_a_full_disk_the_same_writer_goes_on(tmp_path: Path) -> None:
    """A limit of the process stands for the disk; the kernel stops in the middle of the line in either case."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with AuditLog.open(tmp_path, KEY) as log:
        first = log.append({"n": 1})
        size = _log(tmp_path).stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, hard))
        try:
            with pytest.raises(AuditError, match="cannot be written"):
                log.append({"n": 2})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert log.head == first
        assert _log(tmp_path).stat().st_size == size + 100
        second = log.append({"n": 3})
    result = verify([_log(tmp_path)], PUBLIC, first)
    assert (result.outcome, result.head, result.cuts) == (Outcome.FINE, second, (2,))
